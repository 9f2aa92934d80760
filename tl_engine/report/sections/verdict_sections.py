"""The verdict on two arms with what it rests on, and a table of all contrasts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tl_engine.analysis.interval import LEAST_PAIRS
from tl_engine.analysis.rule import AT_END, Pairs, Procedure
from tl_engine.analysis.verdict import Outcome, Verdict, decide
from tl_engine.errors import ThawError
from tl_engine.report.arms import evidence_of_arms
from tl_engine.report.judgement import Judged
from tl_engine.report.saved_predictions import about_seeds, over_images_of
from tl_engine.report.section import Section, note
from tl_engine.report.shown_results import Results
from tl_engine.report.verdict_table import looks_at_test, rests_on, seen_before
from tl_engine.runs.evidence import Evidence


def verdict(results: Results) -> list[Section]:
    """The sentence on the contrast, or why there is none."""
    judged = results.judgement
    if judged.verdict is None:
        return [Section(key="verdict", text=judged.refusal)]
    evidence = evidence_of_arms(results.arms)
    test = looks_at_test(results.arms, judged, results.question, evidence)
    notes = (
        f"{_basis(results, judged, judged.verdict, evidence)} {test}",
        judged.verdict.reason,
        _as_planned(results, judged),
        _expected(results, judged),
    )
    text = judged.verdict.sentence
    return [Section(key="verdict", text=text, notes=tuple(filter(None, notes)))]


def interval(results: Results, *, images: bool = False) -> list[Section]:
    """Over what the verdict's interval is, or on request the interval over seeds and validation
    images; nothing where it has none."""
    judged = results.judgement
    if judged.verdict is None or judged.verdict.interval is None:
        return []
    if not images:
        run = results.arms[judged.first].runs[0]
        return note("interval", about_seeds(run, results.question))
    try:
        found = over_images_of(results.arms, judged, results.question)
    except ThawError as error:
        return note("interval", f"The interval over images cannot be computed: {error}")
    if not found:
        return []
    shared = f"Two pairs share {found.shared:.0%} of their validation images."
    return note("interval", f"{found.sentence} {shared}")


def contrasts(results: Results) -> list[Section]:
    """All contrasts in a table; nothing where there is one only."""
    if len(results.judgements) < 2:
        return []
    rows = [_row(results, judged) for judged in results.judgements]
    return [
        Section(
            key="contrasts",
            table=pd.DataFrame(rows).set_index("Contrast"),
            method="p: of no difference, raw and adjusted for the number of contrasts that can be "
            "compared (Holm). Each interval has the confidence that the adjustment leaves it.",
        )
    ]


def _basis(results: Results, judged: Judged, verdict: Verdict, evidence: Evidence) -> str:
    """What the sentence rests on."""
    words = [
        rests_on(judged, results.question),
        f"{results.question.metric.title}, last epoch",
        *_procedure(judged, verdict),
    ]
    if seen := seen_before(judged, evidence):
        words.append(seen)
    comparable = sum(not one.refusal for one in results.judgements)
    if (family := max(comparable, judged.family)) > 1:
        words.append(f"one of {family} contrasts: Holm's correction")
    factors = judged.contrast.factors
    differs = f"They differ in {factors[0]} alone" if factors else "Nothing differs"
    if not judged.contrast.has_equal_budgets:
        differs += ", and what the arms cost"
    return f"{'; '.join(words)}. {differs}."


def _procedure(judged: Judged, verdict: Verdict) -> list[str]:
    """How it was decided, or what is needed to decide."""
    if verdict.outcome is Outcome.LOOK:
        return [f"a verdict takes at least {LEAST_PAIRS}"]
    if verdict.outcome is Outcome.WITHHELD:
        return ["resume or restart the lost runs on Overview, or launch their seeds again"]
    words = [f"{verdict.procedure} over seeds"]
    if verdict.procedure in AT_END and verdict.pairs < len(judged.pairs):
        words.append(f"all {len(judged.pairs)} pairs: {Procedure.SEQUENCE}")
    return words


def _as_planned(results: Results, judged: Judged) -> str:
    """The verdict of the planned pairs, where others were added since: it stands."""
    verdict, plan = judged.verdict, judged.evidence.plan if judged.evidence else None
    if verdict is None or plan is None or len(plan) == len(judged.pairs):
        return ""
    metric, (first, second) = results.question.metric, results.two_arms
    gains = np.array([metric.sign * (run.score - other.score) for run, other in plan])
    pairs = Pairs(gains, first.title, second.title, len(gains), gains)
    planned = decide(pairs, results.question.smallest, metric=metric, alpha=verdict.alpha)
    return f"At the {len(plan)} planned pairs: {planned.sentence}"


def _expected(results: Results, judged: Judged) -> str:
    """What was expected beforehand, where it is of this contrast."""
    question = results.question
    expected = question.study.study.expectation if question.study else None
    names = [arm.key[1] for arm in results.two_arms]
    if expected is None or expected.arm not in names:
        return ""
    metric, seen = question.metric, "nothing found yet"
    if len(judged.pairs):
        sign = 1 if expected.arm == names[0] else -1
        difference = metric.gain(sign * float(judged.pairs["gain"].mean()))
        seen = f"found: {difference} {metric.unit}"
    before = _computed_before(judged)
    when = f"after {before} of its pairs had been computed" if before else "before the first run"
    ahead = f"{metric.gain(expected.by)} {metric.unit}"
    return f"Expected {when}: {expected.arm} ahead by {ahead}; {seen}."


def _computed_before(judged: Judged) -> int:
    """Pairs of the verdict of which a run had been computed when the shown study was asked, in
    whatever study."""
    asked, evidence = judged.asked, judged.evidence
    if asked is None or evidence is None:
        return 0
    return sum(
        any(run.ended < asked.created or run[:2] in asked.computed_before for run in pair)
        for pair in evidence.pairs
    )


def _row(results: Results, judged: Judged) -> dict[str, str]:
    metric, verdict = results.question.metric, judged.verdict
    titles = [results.arms[place].title for place in (judged.first, judged.second)]
    row = {
        "Contrast": " – ".join(titles),
        "Differs in": ", ".join(judged.contrast.factors) or "nothing",
        f"Difference ({metric.unit})": "–",
        "Interval": "–",
        "Pairs won": "–",
        "p": "–",
        "p (Holm)": "–",
        "Verdict": "not comparable",
    }
    if verdict is None:
        return row
    row["Pairs won"], row["Verdict"] = f"{verdict.won} of {verdict.pairs}", str(verdict.outcome)
    if verdict.outcome in (Outcome.BETTER, Outcome.SMALL):
        row["Verdict"] = f"{titles[verdict.difference <= 0]}: {verdict.outcome}"
    if len(judged.pairs):
        row[f"Difference ({metric.unit})"] = metric.gain(verdict.difference)
    if verdict.interval:
        low, high = map(metric.gain, verdict.interval)
        row |= {"Interval": f"{low} to {high}", "p": f"{verdict.p:.2g}"}
        row["p (Holm)"] = f"{judged.adjusted_p:.2g}"
    return row
