"""What a verdict rests on, in words: its pairs, what had been computed before, looks at the test
images."""

from __future__ import annotations

from collections.abc import Sequence

from tl_engine.errors import StoreError
from tl_engine.report.judgement import ArmOfRuns, Judged, Question
from tl_engine.runs import ledger
from tl_engine.runs.evidence import Evidence, of_store
from tl_engine.runs.observations import recipe_id
from tl_engine.runs.test_access import count
from tl_engine.text import plain


def rests_on(one: Judged, question: Question) -> str:
    """How many pairs a comparison has, and where they come from."""
    found, study, pairs = one.found, question.study, len(one.pairs)
    words = "1 pair" if pairs == 1 else f"{pairs} pairs"
    studies = found.studies if found else ()
    if len(studies) > 1:
        words = f"pooled: {words} from {len(studies)} studies"
    elif study and studies and studies[0] != study.id:
        words += " that another study computed first"
    elif study and not study.added_pairs and pairs <= study.study.pairs:
        words = f"{pairs} of {study.study.pairs} planned pairs"
    if found and found.copies:
        runs = "1 run stands" if found.copies == 1 else f"{found.copies} runs stand"
        verb = "counts" if found.copies == 1 else "count"
        words += f"; {runs} in a further study and {verb} once"
    return words


def seen_before(one: Judged, evidence: Evidence) -> str:
    """How many planned pairs of the shown study had been computed when it was asked, in words;
    empty for none."""
    if one.asked is None:
        return ""
    if evidence.is_damaged:
        return f"{ledger.DAMAGED}: all pairs count as computed before the question was fixed"
    both = (recipe_id(one.contrast.first), recipe_id(one.contrast.second))
    seen = one.asked.had_seen(frozenset(both))
    pairs = "1 planned pair" if seen == 1 else f"{seen} planned pairs"
    return f"{pairs} had been computed before the question was fixed" if seen else ""


def pairs_computed_before(one: Judged) -> int:
    """Pairs of the verdict of which a run had been computed when the shown study was asked, in
    whatever study."""
    if one.asked is None or one.found is None:
        return 0
    asked = one.asked
    return sum(
        any(run.ended < asked.created or run[:2] in asked.computed_before for run in two)
        for two in one.found.pairs
    )


def looks_at_test(
    arms: Sequence[ArmOfRuns], one: Judged, question: Question, evidence: Evidence
) -> str:
    """How often somebody has looked at the test images with the evidence of a verdict, as a
    sentence."""
    both = arms[one.first], arms[one.second]
    places = {(recipe_id(run.recipe), run.pair) for arm in both for run in arm.runs}
    if one.found:
        places |= {run[:2] for two in one.found.pairs for run in two}
    try:
        accesses = evidence.looks(places, question.study)
    except StoreError:
        return "How often the test split was opened cannot be read."
    times = count(accesses)
    if not times:
        return "Test split locked."
    others = ", ".join(dict.fromkeys(plain(look.study, 60) for look in accesses if look.study))
    where = f" (in {others})" if others else ""
    return f"Test split opened {times} time{'s' if times > 1 else ''}{where}."


def evidence_of_arms(arms: Sequence[ArmOfRuns]) -> Evidence:
    """The evidence of the store in which the arms' runs stand."""
    return of_store(arms[0].runs[0].study.path.parent)
