"""What a verdict rests on, in words: its pairs, what had been computed before, looks at the test
images."""

from __future__ import annotations

from collections.abc import Sequence

from tl_engine.errors import StoreError
from tl_engine.judgement import ArmOfRuns, Judged, Question
from tl_engine.runs.evidence import of_store, recipe_id
from tl_engine.runs.openings import count
from tl_engine.text import plain


def rests_on(one: Judged, question: Question) -> str:
    """How many pairs a comparison has, and where they come from."""
    found, pairs = one.found, len(one.pairs)
    counted = "1 pair" if pairs == 1 else f"{pairs} pairs"
    if found is None or len(found.studies) < 2:
        study = question.study
        if study and not study.added_pairs and pairs <= study.study.pairs:
            return f"{pairs} of {study.study.pairs} planned pairs"
        return counted
    words = f"pooled: {counted} from {len(found.studies)} studies"
    if found.copies:
        runs = "1 run stands" if found.copies == 1 else f"{found.copies} runs stand"
        verb = "counts" if found.copies == 1 else "count"
        words += f"; {runs} in a further study and {verb} once"
    return words


def seen_before(one: Judged) -> int:
    """Planned pairs of the shown study of which a run had been computed when it was asked."""
    if one.asked is None:
        return 0
    both = (recipe_id(one.contrast.first), recipe_id(one.contrast.second))
    return one.asked.had_seen(frozenset(both))


def known_before(one: Judged) -> int:
    """Pairs of the verdict of which a run had been computed when the shown study was asked, in
    whatever study."""
    if one.asked is None or one.found is None:
        return 0
    asked = one.asked
    return sum(
        any(run.ended < asked.created or run[:2] in asked.computed_before for run in two)
        for two in one.found.pairs
    )


def looks_at_test(arms: Sequence[ArmOfRuns], one: Judged, question: Question) -> str:
    """How often somebody has looked at the test images with the evidence of a verdict, as a
    sentence."""
    both = arms[one.first], arms[one.second]
    places = {(recipe_id(run.recipe), run.pair) for arm in both for run in arm.runs}
    if one.found:
        places |= {run[:2] for two in one.found.pairs for run in two}
    known = of_store(both[0].runs[0].study.path.parent)
    try:
        openings = known.looks(places, question.study)
    except StoreError:
        return "How often the test split was opened cannot be read."
    times = count(openings)
    if not times:
        return "Test split locked."
    others = ", ".join(dict.fromkeys(plain(one.study, 60) for one in openings if one.study))
    where = f" (in {others})" if others else ""
    return f"Test split opened {times} time{'s' if times > 1 else ''}{where}."
