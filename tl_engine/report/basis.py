"""What a verdict rests on, in words: its pairs, what had been computed before, and how often
somebody looked at the test images."""

from __future__ import annotations

from collections.abc import Sequence

from tl_engine.errors import StoreError
from tl_engine.report.arms import Arm
from tl_engine.report.judgement import Judged
from tl_engine.report.question import Question
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


def pairs_computed_before(judged: Judged) -> int:
    """Pairs of the verdict of which a run had been computed when the shown study was asked, in
    whatever study."""
    asked, evidence = judged.asked, judged.evidence
    if asked is None or evidence is None:
        return 0
    return sum(
        any(run.ended < asked.created or run[:2] in asked.computed_before for run in pair)
        for pair in evidence.pairs
    )


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
    times = count(accesses)
    if not times:
        return "Test split locked."
    others = ", ".join(dict.fromkeys(plain(look.study, 60) for look in accesses if look.study))
    where = f" (in {others})" if others else ""
    return f"Test split opened {counted(times, 'time')}{where}."


def in_sentences(
    arms: Sequence[Arm], judged: Judged, question: Question, evidence: Evidence
) -> str:
    """All of it, as sentences."""
    seen = seen_before(judged, evidence)
    words = f"{rests_on(judged, question)}. " + (f"{seen}. " if seen else "")
    return words + looks_at_test(arms, judged, question, evidence)
