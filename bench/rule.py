"""How often the whole rule of verdicts is wrong, and what it finds: `python -m bench.rule`

A look after every pair from the fourth on, then the planned analysis; any claim counts.
Simulated studies, all at once: `p_paths` computes what `analysis.rule.p_value` gives one by one
(`tests/test_rule.py` compares them).
"""

from __future__ import annotations

import argparse
from itertools import combinations

import numpy as np

from tl_engine.analysis.interval import ALPHA, LEAST_PAIRS
from tl_engine.analysis.power import more_pairs
from tl_engine.analysis.rule import END, LOOKS, Pairs, variance_of
from tl_engine.analysis.skew import FEW_PAIRS, STRONG

STUDIES = 20_000


def p_paths(differences: np.ndarray, planned: int, *, always: bool = False) -> np.ndarray:
    """The rule's p at every look.

    Args:
        differences: (studies, pairs), of which the first `planned` are the planned ones; 0 where
            no number was fixed.
        always: allow for skewness that is not strong, too.

    Returns:
        (studies, pairs - 3): after 4 pairs, after 5 and so on; at and after `planned` pairs the
        planned analysis counts.
    """
    from scipy.special import stdtr

    looks = np.arange(LEAST_PAIRS, differences.shape[1] + 1)
    t = _t(differences, always)[:, LEAST_PAIRS - 1 :]
    plan = Pairs(differences[0], "", "", planned)
    ratio = 1 / (1 + looks * variance_of(plan))
    square = t**2 / (looks - 1)
    log_e = np.log(ratio) / 2 + looks / 2 * (np.log1p(square) - np.log1p(ratio * square))
    p = np.exp(-np.maximum(log_e, 0)) / (LOOKS if plan.has_end else 1.0)
    if plan.has_end and planned <= looks[-1]:
        end = planned - LEAST_PAIRS
        at_end = 2 * stdtr(planned - 1, -abs(t[:, end])) / END
        p[:, end:] = np.minimum(p[:, end:], at_end[:, None])
    return np.minimum(p, 1.0)


def any_claim(p: np.ndarray, contrasts: int = 1) -> np.ndarray:
    """In which studies (studies, …) any p is small enough for Holm's first step."""
    return np.asarray(p.reshape(len(p), -1).min(axis=1) <= ALPHA / contrasts)


def family_claims(random: np.random.Generator, arms: int, pairs: int, studies: int) -> float:
    """The share of studies of equal arms in which any contrast is claimed at any look."""
    scores = random.standard_normal((arms, studies, pairs))
    couples = list(combinations(range(arms), 2))
    claimed = [any_claim(p_paths(scores[i] - scores[j], pairs), len(couples)) for i, j in couples]
    return float(np.any(claimed, axis=0).mean())


def suffices(
    random: np.random.Generator, effect: float, pairs: int, planned: int, studies: int
) -> float:
    """Of studies that are open after so many pairs: how often as many more as are said to be likely
    find the difference, which is the smallest that matters.

    Args:
        effect: that difference, in standard deviations.
        planned: pairs; 0 where no number was fixed.
    """
    found: list[bool] = []
    while len(found) < studies:
        begun = random.normal(effect, 1.0, pairs)
        if any_claim(p_paths(begun[None], planned))[0]:
            continue
        plan = Pairs(begun, "", "", planned, begun if pairs == planned else None)
        more = more_pairs(plan, effect).likely
        whole = np.concatenate([begun, random.normal(effect, 1.0, more)])
        found.append(bool(p_paths(whole[None], planned)[0, -1] <= ALPHA))
    return float(np.mean(found))


def _t(differences: np.ndarray, always: bool) -> np.ndarray:
    """(studies, pairs): `Sample.t` after each pair; 0 for the first three."""
    pairs = np.arange(1, differences.shape[1] + 1)
    mean, square, cube = (np.cumsum(differences**power, axis=1) / pairs for power in (1, 2, 3))
    with np.errstate(all="ignore"):
        variance = square - mean**2
        skewness = (cube - 3 * mean * square + 2 * mean**3) / variance**1.5
        skewness *= np.sqrt(pairs * (pairs - 1)) / (pairs - 2)
        error = np.sqrt(6 * pairs * (pairs - 1) / ((pairs - 2) * (pairs + 1) * (pairs + 3)))
        w = mean / np.sqrt(variance * pairs / (pairs - 1))
        hall = w + skewness * w**2 / 3 + skewness**2 * w**3 / 27 + skewness / (6 * pairs)
        smaller = np.where(w * hall <= 0, 0, np.sign(w) * np.minimum(abs(w), abs(hall)))
        is_allowed = always | (
            abs(skewness) > STRONG * np.minimum(1, FEW_PAIRS / pairs) ** 2 * error
        )
        t = np.where(is_allowed, smaller, w) * np.sqrt(pairs)
    t[:, : LEAST_PAIRS - 1] = 0
    return t


def main() -> None:
    """Print every figure of docs/verdicts.md's "How often it is wrong"."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=STUDIES)
    studies = parser.parse_args().studies
    random = np.random.default_rng(15)

    def say(what: str, share: float) -> None:
        print(f"{what}: {100 * share:.1f} %", flush=True)

    for pairs in (10, 30, 100):
        for arms in (2, 3, 6):
            say(f"{arms} arms, {pairs} pairs", family_claims(random, arms, pairs, studies // 4))
    streams = random.standard_normal((studies // 4, 100))
    say("no number fixed, looks up to 100", any_claim(p_paths(streams, 0)).mean())
    say("10 planned, looks up to 100", any_claim(p_paths(streams, 10)).mean())
    for effect in (1.0, 1.5):
        there = random.normal(effect, 1.0, (studies, 10))
        say(f"{effect} sd found, 10 pairs", any_claim(p_paths(there, 10)).mean())
    for pairs in (10, 20, 30):
        skewed = random.gamma(2.0, 1.0, (studies, pairs)) - 2.0
        say(f"gamma(2), {pairs} pairs", any_claim(p_paths(skewed, pairs)).mean())
        careful = p_paths(skewed, pairs, always=True)
        say(f"gamma(2), {pairs} pairs, claims that allow for skew", any_claim(careful).mean())
        say(f"gamma(2), sequence up to {pairs}", any_claim(p_paths(skewed, 0)).mean())
        careful = p_paths(skewed, 0, always=True)
        say(f"gamma(2), sequence up to {pairs}, allowing for skew", any_claim(careful).mean())
    for effect, pairs, planned in ((0.5, 10, 10), (0.5, 6, 10), (0.5, 10, 0), (0.3, 20, 20)):
        share = suffices(random, effect, pairs, planned, studies // 10)
        say(f"{effect} sd, {pairs} of {planned} planned: pairs asked for suffice", share)


if __name__ == "__main__":
    main()
