"""What Compare and Explain show, in their order: the only lists of it.

A new chart is a function in `charts`, a function in `report.sections` and a line here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tl_engine.report.section import Section
from tl_engine.report.sections.agreement_sections import agreement
from tl_engine.report.sections.class_sections import differences_by_class, per_class
from tl_engine.report.sections.cost_sections import budget_curve, budgets, factors, frontier
from tl_engine.report.sections.mistake_sections import confusion, mistakes
from tl_engine.report.sections.pair_sections import pairs, story
from tl_engine.report.sections.phase_sections import drift, limits, phase_charts, phase_table
from tl_engine.report.sections.score_sections import curves, scores, settings
from tl_engine.report.sections.test_split_sections import tested
from tl_engine.report.sections.trust_sections import calibration, confidence, corrupted, corruptions
from tl_engine.report.sections.verdict_sections import contrasts, interval, verdict
from tl_engine.report.shown_results import Results


class Part(NamedTuple):
    """Sections that are composed together, under a heading ("" for none): from results, and from
    what a reader may choose, as keywords with defaults. Where no two arms are compared, there is
    nothing to show of one that needs two."""

    compose: Callable[..., list[Section]]
    heading: str = ""
    needs_two_arms: bool = False


EVIDENCE = (
    *(Part(each, needs_two_arms=True) for each in (verdict, interval, contrasts, story, pairs)),
    Part(curves),
    Part(scores, "Scores"),
)
"""What Compare shows first, and again while something trains."""
SETTINGS = Part(settings, "Settings that differ")
CLOSER = {
    "Mistakes": (
        Part(confusion, "What is mistaken for what"),
        Part(per_class),
        Part(mistakes, "Mistakes"),
    ),
    "Agreement": (
        Part(agreement, "Where they agree", needs_two_arms=True),
        Part(differences_by_class, "Class by class", needs_two_arms=True),
    ),
    "Costs": (Part(budgets), Part(budget_curve), Part(frontier), Part(factors)),
    "Calibration": (Part(confidence, "How sure, and how often right"), Part(calibration)),
    "Corrupted images": (Part(corrupted, "Corrupted images"), Part(corruptions)),
    "Test split": (Part(tested, "Test split"),),
}
"""What Compare shows of one subject at a time."""
EXPLAIN = (
    Part(limits),
    Part(phase_charts),
    Part(drift, "How far the weights moved"),
    Part(phase_table, "Phase by phase"),
)


def composed(part: Part, results: Results) -> list[Section]:
    """The sections of a part with nothing chosen; none where it needs two arms and has not got
    them."""
    return part.compose(results) if results.contrast or not part.needs_two_arms else []
