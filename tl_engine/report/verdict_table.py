"""What verdicts rest on, in words, and a table of verdicts for the command line and for scripts."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tl_engine.errors import StoreError, ThawError
from tl_engine.report.arms import Arm, Question, evidence_of_arms
from tl_engine.report.judgement import Judged
from tl_engine.report.saved_predictions import about_seeds, over_images_of
from tl_engine.runs import ledger
from tl_engine.runs.evidence import Evidence
from tl_engine.runs.observations import recipe_id
from tl_engine.runs.test_access import count
from tl_engine.text import counted, plain


def rests_on(judged: Judged, question: Question) -> str:
    """How many pairs a comparison has, and where they come from."""
    evidence, study, pairs = judged.evidence, question.study, len(judged.pairs)
    words = counted(pairs, "pair")
    studies = evidence.studies if evidence else ()
    if len(studies) > 1:
        words = f"pooled: {words} from {len(studies)} studies"
    elif study and studies and studies[0] != study.id:
        words += " that another study computed first"
    elif study and not study.added_pairs and pairs <= study.study.pairs:
        words = f"{pairs} of {study.study.pairs} planned pairs"
    if evidence and (copies := evidence.copies):
        stand, count_once = ("stands", "counts") if copies == 1 else ("stand", "count")
        words += f"; {counted(copies, 'run')} {stand} in a further study and {count_once} once"
    return words


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
    both = arms[judged.first], arms[judged.second]
    places = {(recipe_id(run.recipe), run.pair) for arm in both for run in arm.runs}
    if judged.evidence:
        places |= {run[:2] for pair in judged.evidence.pairs for run in pair}
    try:
        accesses = evidence.looks(places, question.study)
    except StoreError:
        return "How often the test split was opened cannot be read."
    if not (times := count(accesses)):
        return "Test split locked."
    others = ", ".join(dict.fromkeys(plain(look.study, 60) for look in accesses if look.study))
    where = f" (in {others})" if others else ""
    return f"Test split opened {counted(times, 'time')}{where}."


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
    low, high = verdict.interval if verdict and verdict.interval else (math.nan, math.nan)
    seen = seen_before(judged, evidence)
    basis = [rests_on(judged, question), *([seen] if seen else [])]
    return {
        "first": arms[judged.first].title,
        "second": arms[judged.second].title,
        "differs": ", ".join(judged.contrast.factors),
        "verdict": verdict.sentence if verdict else judged.refusal,
        "difference": verdict.difference if verdict else math.nan,
        "low": low,
        "high": high,
        "won": verdict.won if verdict else math.nan,
        "pairs": len(judged.pairs),
        "p": verdict.p if verdict else math.nan,
        "p_holm": judged.adjusted_p,
        "studies": len(judged.evidence.studies) if judged.evidence else 1,
        "health": health.level.value if health else "",
        "health_says": health.words if health else "",
        "rests_on": ". ".join([*basis, looks_at_test(arms, judged, question, evidence)]),
        **_over_images(arms, judged, question),
    }


def _over_images(arms: Sequence[Arm], judged: Judged, question: Question) -> dict[str, Any]:
    interval, words = (math.nan, math.nan), ""
    try:
        if over_images := over_images_of(arms, judged, question):
            about = about_seeds(arms[judged.first].runs[0], question)
            interval, words = over_images.interval, f"{about} {over_images.sentence}"
    except ThawError as error:
        words = f"Over images: not known. {error}"
    return {"low_images": interval[0], "high_images": interval[1], "over_images": words}
