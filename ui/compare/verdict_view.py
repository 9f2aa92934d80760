"""The verdict: which contrast is looked at, and what one can do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import pandas as pd
import streamlit as st

from tl_engine.analysis.budgets import budget
from tl_engine.analysis.contrast import ORDER, contrast
from tl_engine.analysis.health import Level
from tl_engine.analysis.verdict import Outcome
from tl_engine.catalog.glossary import explain
from tl_engine.execution.launcher import launch, launcher
from tl_engine.report.arms import Arm, Question
from tl_engine.report.judgement import Judged
from tl_engine.report.sections.verdict_sections import contrasts, interval, verdict
from tl_engine.report.shown_results import Results
from tl_engine.runs import Run, StudyFolder, summarise
from tl_engine.runs.evidence import of_store
from tl_engine.runs.run_requests import add_pairs
from tl_engine.runs.studies import folder_of
from tl_engine.study import MAXIMUM_NAME, MAXIMUM_PAIRS, name_arms
from tl_engine.text import escape, plain
from ui import access, browser
from ui.frame import choose, pick, store
from ui.section_view import LONGEST_TEXT, draw, draw_all

MOST_ARMS = 20
"""Of more, nobody could read the verdicts: 190 contrasts."""
ONE_CLICK_PAIRS = 10
MARKS = {
    Outcome.BETTER: ":material/trophy:",
    Outcome.SMALL: ":material/straighten:",
    Outcome.EQUIVALENT: ":material/equal:",
    Outcome.OPEN: ":material/hourglass_empty:",
    Outcome.LOOK: ":material/visibility:",
    Outcome.WITHHELD: ":material/health_and_safety:",
}
PAIRS_HELP = (
    "Pairs of all arms of the study. Those that are added after a look are judged by an interval "
    "that allows for looking, which is wider; what the planned pairs said stays on this card."
)
INCOMPARABLE = ":material/block:"
HEALTH = {
    Level.PROBLEM: ":material/error:",
    Level.NOTICE: ":material/info:",
    Level.FINE: ":material/check:",
}
"""Before what befell the runs of a verdict."""
LONGEST_FINDING = 800
"""Characters of a finding about runs that are shown."""


def offer_twin(run: Run) -> None:
    """Launch the run's arm again beside the same with its phases reversed, where that is another
    recipe."""
    folder = folder_of(run)
    pairs = sum(other.arm_index == run.arm_index for other in folder.runs())
    twin = folder.study.twin(run.arm_index, pairs)
    if twin and access.button(
        f"Same again, order reversed ({2 * pairs} runs)",
        icon=":material/swap_horiz:",
        key="twin",
        help=f"A study of {plain(run.arm, 60)} and its reverse with {pairs} paired seeds. What is "
        "computed already is not computed again.",
    ):
        browser.remember([launch(twin, store()).id])
        st.switch_page("app.py")


def choose_contrast(arms: Sequence[Arm]) -> tuple[Arm, Arm] | None:
    """The contrast to look at; None where there is none, or too many to choose from."""
    if len(arms) > MOST_ARMS:
        st.caption(f"For verdicts, choose at most {MOST_ARMS} arms: there are {len(arms)}.")
    if not 2 <= len(arms) <= MOST_ARMS:
        return None
    contrasts = list(combinations(arms, 2))
    if len(contrasts) == 1:
        return contrasts[0]
    titles = {
        place: f"{plain(first.title)} against {plain(second.title)}"
        for place, (first, second) in enumerate(contrasts)
    }
    place: int = choose(
        st.selectbox,
        "Contrast",
        titles,
        f"contrast-{hash(tuple(arm.key for arm in arms))}",
        index=min(titles, key=lambda place: _rank(*contrasts[place])),
        help="Two arms whose difference is judged and shown. All contrasts are in a table below "
        "the verdict.",
    )
    return contrasts[place]


def _rank(first: Arm, second: Arm) -> tuple[bool, bool]:
    """Orders that can be compared come first, then all else that can."""
    none = pd.DataFrame(columns=["run", "phase", "cold_seconds", "seconds"])
    budgets = budget(first.recipe, none), budget(second.recipe, none)
    planned = contrast(first.recipe, second.recipe, budgets)
    return bool(planned.refusal("", "")), planned.factors != (ORDER,)


def show_verdict(results: Results) -> None:
    """The verdict on a card, with what one can do next."""
    judged, question = results.judgement, results.question
    _show_health(judged)
    with st.container(border=True):
        mark = MARKS[judged.verdict.outcome] if judged.verdict else INCOMPARABLE
        for section in verdict(results):
            st.markdown(f"{mark} **{escape(section.text, LONGEST_TEXT)}**")
            for note in section.notes:
                st.caption(escape(note, LONGEST_TEXT))
        with st.container(horizontal=True, vertical_alignment="center"):
            _more_pairs(judged, question)
            _fair(judged, results.two_arms[0])


def _show_health(judged: Judged) -> None:
    """What befell the runs, what is worst first."""
    for level, icon in HEALTH.items():
        words = _findings(judged, level)
        if words and level is Level.PROBLEM:
            st.warning(" ".join(words), icon=icon)
        elif words:
            st.caption(" ".join([icon, *words]))


def _findings(judged: Judged, level: Level) -> list[str]:
    found = judged.health.findings if judged.health else ()
    return [escape(one.sentence, LONGEST_FINDING) for one in found if one.level is level]


def show_interval(results: Results) -> None:
    """Say what the interval is about, and on request show the one over images too."""
    verdict = results.judgement.verdict
    if verdict is None or verdict.interval is None:
        return
    images = pick(
        "Interval over",
        {False: "Seeds", True: "Seeds and validation images"},
        "interval-over",
        default=False,
        help="The verdict is over seeds, as planned. The other interval asks whether it would "
        "stand for other images like these; it is shown beside the verdict and changes nothing.",
    )
    draw_all(interval(results, images=images))


def show_contrasts(results: Results) -> None:
    """A table of all contrasts, and whether those are judged whose budgets differ."""
    # Drawn whichever contrast is looked at: Streamlit forgets what is not drawn.
    if any(not each.contrast.has_equal_budgets for each in results.judgements):
        st.toggle("Compare arms whose budgets differ", key="any-budget", help=explain("Budget"))
    for section in contrasts(results):
        label = f"All {len(results.judgements)} contrasts"
        with st.expander(label, icon=":material/table_rows:"):
            draw(section)


def _more_pairs(judged: Judged, question: Question) -> None:
    """Queue further pairs, where they would tell."""
    study = question.study
    if study is None or judged.verdict is None:
        return
    room = MAXIMUM_PAIRS - study.study.pairs - study.added_pairs
    needed = judged.verdict.more_pairs
    wanted = needed.likely if needed else ONE_CLICK_PAIRS
    if needed and needed.likely > room:
        st.caption(
            f"A study holds at most {MAXIMUM_PAIRS} pairs: more training images or epochs, or a "
            "larger difference that matters, would decide sooner."
        )
    _offer_pairs(study, wanted, room)


def _offer_pairs(study: StudyFolder, wanted: int, room: int) -> None:
    """The button that queues as many of the wanted pairs as one click may and the study holds."""
    more = min(wanted, ONE_CLICK_PAIRS, room)
    if more < 1 or any(not summarise(run).state.is_over for run in study.runs()):
        return
    adds = of_store(study.path.parent).pairs_to_add(study, more)
    more -= max(adds - room, 0)
    adds = min(adds, room)
    if more < 1:
        return
    count = f"{more} of {wanted}" if more < wanted <= room else f"{more}"
    if access.button(
        f"Run {count} more {_pairs(wanted)} ({more * len(study.study.arms)} runs)",
        icon=":material/add_circle:",
        key="more-pairs",
        help=PAIRS_HELP + _taken_over(adds - more),
    ):
        add_pairs(study, adds)
        launcher().ensure_worker(store())
        st.rerun()


def _pairs(number: int) -> str:
    return "pair" if number == 1 else "pairs"


def _taken_over(pairs: int) -> str:
    words = f" {pairs} more were computed in another study: they are taken over."
    return words if pairs > 0 else ""


def _fair(judged: Judged, first: Arm) -> None:
    """Launch what can be compared, where the two cannot: the first, and it with one change."""
    recipes = judged.contrast.fair() if judged.contrast.refusal("", "") else None
    if recipes is None:
        return
    runs = 2 * len(first.runs)
    if access.button(
        f"Launch the fair version ({runs} runs)",
        icon=":material/balance:",
        key="fair",
        help=f"{plain(first.title, 60)}, and the same with one factor changed.",
    ):
        title = f"{first.title} and a fair rival"[:MAXIMUM_NAME]
        study, pairs = first.runs[0].study.study, len(first.runs)
        arms = name_arms(recipes)
        study = replace(study, title=title, arms=arms, pairs=pairs, expectation=None)
        browser.remember([launch(study, store()).id])
        st.switch_page("app.py")
