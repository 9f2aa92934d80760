"""What verdicts rest on, in words, and a table of verdicts for the command line and for scripts."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import pandas as pd

from tl_engine.analysis.pooling import Place
from tl_engine.analysis.verdict import Verdict
from tl_engine.errors import StoreError, ThawError
from tl_engine.report.arms import Arm, Question, evidence_of_arms
from tl_engine.report.judgement import Judged
from tl_engine.report.saved_predictions import about_seeds, over_images_of
from tl_engine.runs import StudyFolder, ledger
from tl_engine.runs.evidence import Evidence
from tl_engine.runs.observations import recipe_id
from tl_engine.runs.test_access import count
from tl_engine.text import counted, plain


def rests_on(judged: Judged, question: Question) -> str:
    """How many pairs a comparison has, and where they come from."""
    words = _pairs_words(judged, question.study)
    copies = judged.evidence.copies if judged.evidence else 0
    if not copies:
        return words
    stand, count_once = ("stands", "counts") if copies == 1 else ("stand", "count")
    return f"{words}; {counted(copies, 'run')} {stand} in a further study and {count_once} once"


def _pairs_words(judged: Judged, shown: StudyFolder | None) -> str:
    pairs, studies = len(judged.pairs), judged.studies
    words = counted(pairs, "pair")
    if len(studies) > 1:
        return f"pooled: {words} from {len(studies)} studies"
    if shown is None:
        return words
    if {*studies} - {shown.id}:
        return f"{words} that another study computed first"
    has_more = shown.added_pairs or pairs > shown.study.pairs
    return words if has_more else f"{pairs} of {shown.study.pairs} planned pairs"


def seen_before(judged: Judged, evidence: Evidence) -> str:
    """How many planned pairs of the shown study had been computed when it was asked, in words;
    empty for none."""
    if judged.asked is None:
        return ""
    if evidence.is_damaged:
        return f"{ledger.DAMAGED}: all pairs count as computed before the question was fixed"
    contrast = judged.contrast
    seen = judged.asked.had_seen(frozenset(map(recipe_id, (contrast.first, contrast.second))))
    had = f"{counted(seen, 'planned pair')} had been computed before the question was fixed"
    return had if seen else ""


def looks_at_test(
    arms: Sequence[Arm], judged: Judged, question: Question, evidence: Evidence
) -> str:
    """How often somebody has looked at the test images with the evidence of a verdict, as a
    sentence."""
    places = _places(arms, judged)
    try:
        accesses = evidence.looks(places, question.study)
    except StoreError:
        return "How often the test split was opened cannot be read."
    if not (times := count(accesses)):
        return "Test split locked."
    others = ", ".join(dict.fromkeys(plain(look.study, 60) for look in accesses if look.study))
    where = f" (in {others})" if others else ""
    return f"Test split opened {counted(times, 'time')}{where}."


def _places(arms: Sequence[Arm], judged: Judged) -> set[Place]:
    """Of the runs that are shown of a contrast, and of those that its evidence consists of."""
    runs = chain(arms[judged.first].runs, arms[judged.second].runs)
    pairs = judged.evidence.pairs if judged.evidence else ()
    places = {(recipe_id(run.recipe), run.pair) for run in runs}
    return places | {run[:2] for run in chain.from_iterable(pairs)}


def table_of(arms: Sequence[Arm], judged: Sequence[Judged], question: Question) -> pd.DataFrame:
    """A row per contrast; numbers are NaN where there is no verdict.

    Returns:
        Columns first, second (titles), differs (in words), verdict (a sentence), difference, low,
        high, won, pairs, p, p_holm, studies (in which they stand), health (fine, notice or
        problem), health_says, rests_on (sentences), low_images, high_images (of the interval over
        images) and over_images (sentences).
    """
    evidence = evidence_of_arms(arms)
    return pd.DataFrame([_row(arms, one, question, evidence) for one in judged])


def records_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows as JSON has them: null for NaN."""
    return json.loads(table.to_json(orient="records"))


def _row(
    arms: Sequence[Arm], judged: Judged, question: Question, evidence: Evidence
) -> dict[str, Any]:
    verdict, health = judged.verdict, judged.health
    basis = (
        rests_on(judged, question),
        seen_before(judged, evidence),
        looks_at_test(arms, judged, question, evidence),
    )
    return {
        "first": arms[judged.first].title,
        "second": arms[judged.second].title,
        "differs": ", ".join(judged.contrast.factors),
        "verdict": verdict.sentence if verdict else judged.refusal,
        **_numbers(verdict),
        "pairs": len(judged.pairs),
        "p": verdict.p if verdict else math.nan,
        "p_holm": judged.adjusted_p,
        "studies": len(judged.evidence.studies) if judged.evidence else 1,
        "health": health.level.value if health else "",
        "health_says": health.words if health else "",
        "rests_on": ". ".join(filter(None, basis)),
        **_over_images(arms, judged, question),
    }


def _numbers(verdict: Verdict | None) -> dict[str, float]:
    if verdict is None:
        return dict.fromkeys(("difference", "low", "high", "won"), math.nan)
    low, high = verdict.interval or (math.nan, math.nan)
    return {"difference": verdict.difference, "low": low, "high": high, "won": verdict.won}


def _over_images(arms: Sequence[Arm], judged: Judged, question: Question) -> dict[str, Any]:
    interval, words = (math.nan, math.nan), ""
    try:
        if over_images := over_images_of(arms, judged, question):
            about = about_seeds(arms[judged.first].runs[0], question)
            interval, words = over_images.interval, f"{about} {over_images.sentence}"
    except ThawError as error:
        words = f"Over images: not known. {error}"
    return {"low_images": interval[0], "high_images": interval[1], "over_images": words}
