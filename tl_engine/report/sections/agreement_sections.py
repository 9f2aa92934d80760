"""Where two arms agree: who is right on which images, beside two seeds of one arm."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np
import pandas as pd

from tl_engine.analysis.agreement import (
    CELLS,
    Reference,
    agreement_counts,
    cohens_kappa,
    disagreement,
    in_agreement,
    mcnemar_p,
    seed_disagreement,
)
from tl_engine.analysis.predictions import by_confidence
from tl_engine.charts.image_scores import agreement_matrix, apart_bars
from tl_engine.charts.style import NEUTRAL
from tl_engine.errors import ThawError
from tl_engine.report.amounts import percent
from tl_engine.report.arms import Arm
from tl_engine.report.saved_predictions import pairs_words, pooled, predictions_of, seeds_summed
from tl_engine.report.section import Drawing, Section, charted, note, pictures
from tl_engine.report.shown_results import Results, common_pairs, cost_of
from tl_engine.text import counted, plain


def agreement(results: Results, *, pairs: Sequence[int] = ()) -> list[Section]:
    """How many images two arms get right together, alone or not at all, in these pairs, by default
    all that have finished in both; raises ComparisonError where the runs of one have other images.
    """
    if not (pairs := pairs or results.common_pairs):
        return note("agreement", "Agreement appears when a pair has finished in both arms.")
    first, second = results.two_arms
    predictions = [pooled(arm.finished, pairs) for arm in results.two_arms]
    counts, words = agreement_counts(*predictions), pairs_words(pairs)
    shares = {
        f"The two arms say different classes ({words})": percent(disagreement(*predictions)),
        **_between_seeds(first),
        **_between_seeds(second),
        **_beyond_chance(counts, is_one_pair=len(pairs) == 1),
    }
    arguments = (counts, first.title, second.title, words)
    return [
        *seeds_summed(len(pairs)),
        charted(
            "agreement",
            "How many images both arms get right, one of them, or none",
            Drawing(agreement_matrix, arguments, cost_of(results.two_arms)),
            numbers=pd.DataFrame(
                {"right": list(CELLS), "images": [int(counts[at]) for at in CELLS.values()]}
            ),
        ),
        Section(
            key="alike",
            table=pd.DataFrame({"": shares}).rename_axis("How alike they are"),
            method="The measure of a difference is another seed, which has other training images, "
            "another head and another order: arms that disagree no more than seeds do are not "
            "told apart here. Kappa is 1 where both are right on the same images, 0 where they "
            "are so as often as by chance.",
        ),
    ]


def images_by(results: Results, pairs: Sequence[int], who: str) -> list[Section]:
    """The images that both arms get right, one of them, or none (one of `CELLS`)."""
    first, second = predictions = [pooled(arm.finished, pairs) for arm in results.two_arms]
    surest_of = second if who == "second" else first
    positions = by_confidence(surest_of, in_agreement(first, second, who))
    images = pictures(results.two_arms, predictions, positions)
    return [Section(key=f"agreement-{who}", pictures=images)]


def apart(results: Results, cost: str) -> list[Section]:
    """How far the first two arms are from each other, and each from itself with another seed, with
    the cost of a run in words; nothing where no pair of them can be compared."""
    if len(results.arms) < 2:
        return []
    first, second = results.arms[:2]
    pairs = common_pairs(first, second)
    if not pairs or first.recipe.dataset != second.recipe.dataset:
        return []
    try:
        rows = _distances(first, second, pairs)
    except ThawError as error:  # predictions may be damaged where all else is sound
        return [Section(key="error", text=str(error))]
    return [
        charted(
            "explain-apart",
            "Another network, or another seed?",
            Drawing(apart_bars, (rows,), cost),
            numbers=rows.drop(columns="colour"),
            method=f"{first.title} and {second.title}. Another seed has another head, another "
            "order of batches and, of a subset, other training images: a grey bar as long as the "
            "others says that the arms are no further apart than two seeds of one of them, a "
            "shorter one that the seed changes more answers than what the arms differ in.",
        )
    ]


def _beyond_chance(counts: np.ndarray, *, is_one_pair: bool) -> dict[str, str]:
    """What the counts of who is right come to, in words."""
    kappa = cohens_kappa(counts)
    words = {"Cohen's kappa of right and wrong": "–" if isnan(kappa) else f"{kappa:.2f}"}
    if is_one_pair:
        checkpoints = "these two checkpoints, not these two recipes"
        words["McNemar, exact p"] = f"{mcnemar_p(counts):.2g}: {checkpoints}"
    return words


def _seed_disagreement(arm: Arm) -> Reference:
    return seed_disagreement([predictions_of(run) for run in arm.finished.values()])


def _between_seeds(arm: Arm) -> dict[str, str]:
    """How often two seeds of an arm predict different classes, in words."""
    found = _seed_disagreement(arm)
    name = f"Two seeds of {plain(arm.title, 40)} do"
    if not found.couples:
        return {name: "– no two with common images"}
    return {f"{name} ({counted(found.couples, 'couple')})": percent(found.share)}


def _distances(first: Arm, second: Arm, pairs: list[int]) -> pd.DataFrame:
    between = [
        disagreement(predictions_of(first.finished[pair]), predictions_of(second.finished[pair]))
        for pair in pairs
    ]
    rows = [("The two arms, same seed", float(np.mean(between)), len(between), NEUTRAL)]
    for arm in (first, second):
        found = _seed_disagreement(arm)
        name = f"Two seeds of {plain(arm.title, 40)}"
        rows.append((name, found.share, found.couples, arm.colour))
    return pd.DataFrame(rows, columns=["who", "share", "couples", "colour"])
