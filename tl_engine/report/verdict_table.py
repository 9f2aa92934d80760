"""A table of verdicts, a row per contrast, for the command line and for scripts."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tl_engine.errors import ThawError
from tl_engine.report.arms import Arm, evidence_of_arms
from tl_engine.report.basis import in_sentences
from tl_engine.report.image_interval import about_seeds, over_images_of
from tl_engine.report.judgement import Judged
from tl_engine.report.question import Question

if TYPE_CHECKING:
    import pandas as pd


def table_of(arms: Sequence[Arm], judged: Sequence[Judged], question: Question) -> pd.DataFrame:
    """A row per contrast; numbers are NaN where there is no verdict.

    Returns:
        Columns first, second (titles), differs (in words), verdict (a sentence), difference, low,
        high, won, pairs, p, p_holm, studies (in which they stand), health (fine, notice or
        problem), health_says, rests_on (sentences), low_images, high_images (of the interval over
        images) and over_images (sentences).
    """
    import pandas as pd

    evidence = evidence_of_arms(arms)
    rows = [
        {
            **_row(arms, one),
            "rests_on": in_sentences(arms, one, question, evidence),
            **_over_images(arms, one, question),
        }
        for one in judged
    ]
    return pd.DataFrame(rows)


def records_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows as JSON has them: null for NaN."""
    return json.loads(table.to_json(orient="records"))


def _row(arms: Sequence[Arm], judged: Judged) -> dict[str, Any]:
    verdict, health = judged.verdict, judged.health
    low, high = verdict.interval if verdict and verdict.interval else (math.nan, math.nan)
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
