"""How often verdicts are wrong, and what they find: `python -m bench.error_rates [--real]`

Simulated studies of no difference, of a true one and of a skewed one (tests/simulated_studies.py).

--real trains instead, for some minutes: 100 comparisons of 5 pairs of the tiny network, with the
same recipe on both sides and different seeds, so that any claim is an error.
"""

import argparse
from itertools import product

import numpy as np

from bench.measured import new_store
from tests.conftest import tiny_study
from tests.simulated_studies import any_claim, family_claims, p_paths, suffices
from tl_engine.analysis.rule import Pairs
from tl_engine.analysis.verdict import Outcome, decide
from tl_engine.execution.worker import drain
from tl_engine.recipe import Phase


def main() -> None:
    """Print every figure of "How often it is wrong" in docs/verdicts.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=20_000)
    parser.add_argument("--real", action="store_true", help="train real networks")
    options = parser.parse_args()
    if options.real:
        show_real()
    else:
        show_simulated(options.studies)


def show_real() -> None:
    """How often each outcome is decided of networks that do not differ."""
    outcomes = real_outcomes()
    for outcome in Outcome:
        print(f"{outcome.value}: {outcomes.count(outcome)} of {len(outcomes)}")


def show_simulated(studies: int) -> None:
    """Every figure of so many simulated studies."""
    random = np.random.default_rng(15)
    for pairs, arms in product((10, 30, 100), (2, 3, 6)):
        show(f"{arms} arms, {pairs} pairs", family_claims(random, arms, pairs, studies // 4))
    streams = random.standard_normal((studies // 4, 100))
    show("no number fixed, up to 100 pairs", any_claim(p_paths(streams, 0)).mean())
    show("10 planned, up to 100 pairs", any_claim(p_paths(streams, 10)).mean())
    for effect in (1.0, 1.5):
        found = any_claim(p_paths(random.normal(effect, 1.0, (studies, 10)), 10))
        show(f"{effect} sd found, 10 pairs", found.mean())
    for pairs in (10, 20, 30):
        skewed = random.gamma(2.0, 1.0, (studies, pairs)) - 2.0
        for planned, always in product((pairs, 0), (False, True)):
            claimed = any_claim(p_paths(skewed, planned, always=always)).mean()
            allowed = ", claims that allow for skewness" * always
            show(f"gamma(2), {pairs} pairs, {planned} planned{allowed}", claimed)
    for effect, pairs, planned in ((0.5, 10, 10), (0.5, 6, 10), (0.5, 10, 0), (0.3, 20, 20)):
        share = suffices(random, effect, pairs, planned, studies // 10)
        show(f"{effect} sd, {pairs} of {planned} planned: the pairs proposed suffice", share)


def show(what: str, share: float) -> None:
    """Print one figure."""
    print(f"{what}: {100 * share:.1f} %", flush=True)


def real_outcomes() -> list[Outcome]:
    """What is decided of each comparison of a study's first five seeds with the five after them,
    and so on; ten recipes with 100 seeds each."""
    phases, outcomes = (Phase("head", 2, 1e-2), Phase("all", 2, 1e-3)), []
    with new_store() as store:
        for images in range(100, 200, 10):
            store.create(tiny_study(*phases, pairs=100, both=False, train_images=images))
        drain(store, linger=0.0)
        for study in store.studies():
            last = {run.pair: run.epochs()[-1]["val_accuracy"] for run in study.runs()}
            scores = np.array([last[pair] for pair in sorted(last)]).reshape(-1, 2, 5)
            for gains in scores[:, 0] - scores[:, 1]:
                outcomes.append(decide(Pairs(gains, "First", "Second", 5, gains), 0.005).outcome)
    return outcomes


if __name__ == "__main__":
    main()
