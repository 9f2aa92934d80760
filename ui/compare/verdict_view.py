"""What the chosen arms allow one to say: a verdict on each contrast, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import streamlit as st

from tl_engine.analysis.budgets import budget
from tl_engine.analysis.contrast import ORDER, contrast
from tl_engine.analysis.interval import LEAST_PAIRS
from tl_engine.analysis.rule import AT_END, Pairs, Procedure
from tl_engine.analysis.verdict import Outcome, Verdict, decide
from tl_engine.catalog.glossary import explain
from tl_engine.execution.launcher import launch, launcher
from tl_engine.metric import Metric
from tl_engine.report.arms import evidence_of_arms
from tl_engine.report.basis import (
    looks_at_test,
    pairs_computed_before,
    rests_on,
    seen_before,
)
from tl_engine.report.judgement import Judged, judge
from tl_engine.report.question import Question, question_of
from tl_engine.runs import Run, summarise
from tl_engine.runs.creation import add_pairs
from tl_engine.runs.evidence import Evidence, of_store
from tl_engine.runs.study_folder import folder_of
from tl_engine.study import MAXIMUM_NAME, MAXIMUM_PAIRS, name_arms
from ui import access, address, health_note
from ui.arms import ShownArm, show_table
from ui.compare import image_interval_view
from ui.engine import store
from ui.words import escape, plain

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
INCOMPARABLE = ":material/block:"


def offer_twin(run: Run, key: str) -> None:
    """Launch the run's arm again beside the same with its phases reversed, where that is another
    recipe."""
    folder = folder_of(run)
    pairs = sum(other.arm_index == run.arm_index for other in folder.runs())
    twin = folder.study.twin(run.arm_index, pairs)
    if twin and access.button(
        f"Same again, order reversed ({2 * pairs} runs)",
        icon=":material/swap_horiz:",
        key=key,
        help=f"A study of {plain(run.arm, 60)} and its reverse with {pairs} paired seeds. What is "
        "computed already is not computed again.",
    ):
        address.remember([launch(twin, store()).id])
        st.switch_page("app.py")


def choose(arms: Sequence[ShownArm]) -> tuple[ShownArm, ShownArm] | None:
    """The contrast to look at; None where there is none, or too many to choose from."""
    if len(arms) > MOST_ARMS:
        st.caption(f"For verdicts, choose at most {MOST_ARMS} arms: there are {len(arms)}.")
    if not 2 <= len(arms) <= MOST_ARMS:
        return None
    contrasts = list(combinations(arms, 2))
    if len(contrasts) == 1:
        return contrasts[0]
    titles = [f"{plain(first.title)} against {plain(second.title)}" for first, second in contrasts]
    best = min(range(len(contrasts)), key=lambda place: _rank(*contrasts[place]))
    place = st.selectbox(
        "Contrast",
        range(len(contrasts)),
        index=best,
        format_func=titles.__getitem__,
        key=f"contrast-{hash(tuple(arm.key for arm in arms))}",
        help="Two arms whose difference is judged and shown. All contrasts are in a table below "
        "the verdict.",
    )
    return contrasts[place]


def _rank(first: ShownArm, second: ShownArm) -> tuple[bool, bool]:
    """Orders that can be compared come first, then all else that can."""
    one, two = (arm.runs[0].recipe for arm in (first, second))
    none = pd.DataFrame(columns=["run", "phase", "cold_seconds", "seconds"])
    met = contrast(one, two, (budget(one, none), budget(two, none)))
    return bool(met.refusal("", "")), met.factors != (ORDER,)


def show(
    arms: Sequence[ShownArm],
    chosen: tuple[ShownArm, ShownArm],
    scored: pd.DataFrame,
    history: pd.DataFrame,
) -> tuple[Judged, Question]:
    """The verdict on the chosen contrast, and a table of all where there are several."""
    question = question_of(arms, scored)
    any_budget = bool(st.session_state.get("any-budget", False))
    judged = judge(arms, scored, history, question, any_budget=any_budget)
    places = [next(n for n, arm in enumerate(arms) if arm.key == one.key) for one in chosen]
    one = next(each for each in judged if [each.first, each.second] == places)
    health_note.show(one.health)
    _card(one, arms, chosen, question, sum(not each.refusal for each in judged))
    image_interval_view.show(arms, one, question)
    # Drawn whichever contrast is looked at: Streamlit forgets what is not drawn.
    if any(not each.contrast.has_equal_budgets for each in judged):
        st.toggle(
            "Compare arms whose budgets differ",
            key="any-budget",
            help=explain("Budget"),
        )
    if len(judged) > 1:
        _family(judged, arms, question)
    return one, question


def _card(
    one: Judged,
    arms: Sequence[ShownArm],
    chosen: tuple[ShownArm, ShownArm],
    question: Question,
    contrasts: int,
) -> None:
    with st.container(border=True):
        if one.verdict is None:
            st.markdown(f"{INCOMPARABLE} **{escape(one.refusal, 600)}**")
        else:
            mark = MARKS[one.verdict.outcome]
            st.markdown(f"{mark} **{escape(one.verdict.sentence, 1600)}**")
            evidence = evidence_of_arms(arms)
            test = escape(looks_at_test(arms, one, question, evidence), 300)
            st.caption(f"{_evidence(one, one.verdict, question, contrasts, evidence)} {test}")
            for said in (
                escape(one.verdict.reason, 600),
                _as_planned(one, chosen, question),
                _predicted(one, chosen, question),
            ):
                if said:
                    st.caption(said)
        with st.container(horizontal=True, vertical_alignment="center"):
            _more_pairs(one, question)
            _fair(one, chosen[0])


def _evidence(
    one: Judged, verdict: Verdict, question: Question, contrasts: int, evidence: Evidence
) -> str:
    """What the sentence rests on."""
    words = [rests_on(one, question), f"{question.metric.title}, last epoch"]
    if verdict.outcome is Outcome.LOOK:
        words.append(f"a verdict takes at least {LEAST_PAIRS}")
    elif verdict.outcome is Outcome.WITHHELD:
        words.append("resume or restart the lost runs on Overview, or launch their seeds again")
    else:
        words.append(f"{verdict.procedure} over seeds")
        if verdict.procedure in AT_END and verdict.pairs < len(one.pairs):
            words.append(f"all {len(one.pairs)} pairs: {Procedure.SEQUENCE}")
    if seen := seen_before(one, evidence):
        words.append(seen)
    if (family := max(contrasts, one.family)) > 1:
        words.append(f"one of {family} contrasts: Holm's correction")
    factors = one.contrast.factors
    differs = f"They differ in {factors[0]} alone" if factors else "Nothing differs"
    if not one.contrast.has_equal_budgets:
        differs += ", and what the arms cost"
    return escape(f"{'; '.join(words)}. {differs}.", 600)


def _as_planned(one: Judged, chosen: tuple[ShownArm, ShownArm], question: Question) -> str:
    """The verdict of the planned pairs, where others were added since: it stands."""
    verdict, plan = one.verdict, one.evidence.plan if one.evidence else None
    if verdict is None or plan is None or len(plan) == len(one.pairs):
        return ""
    gains = np.array([question.metric.sign * (ours.score - theirs.score) for ours, theirs in plan])
    pairs = Pairs(gains, chosen[0].title, chosen[1].title, len(gains), gains)
    said = decide(pairs, question.smallest, metric=question.metric, alpha=verdict.alpha)
    return escape(f"At the {len(plan)} planned pairs: {said.sentence}", 600)


def _predicted(one: Judged, chosen: tuple[ShownArm, ShownArm], question: Question) -> str:
    """What was expected beforehand, where it is of this contrast."""
    expected = question.study.study.expectation if question.study else None
    names = [arm.key[1] for arm in chosen]
    if expected is None or expected.arm not in names:
        return ""
    sign = 1 if expected.arm == names[0] else -1
    found = sign * float(one.pairs["gain"].mean()) if len(one.pairs) else float("nan")
    metric = question.metric
    seen = f"found: {metric.gain(found)} {metric.unit}" if len(one.pairs) else "nothing found yet"
    expected_by = f"{metric.gain(expected.by)} {metric.unit}"
    before = pairs_computed_before(one)
    pairs = "1 of its pairs" if before == 1 else f"{before} of its pairs"
    when = f"after {pairs} had been computed" if before else "before the first run"
    return f"Expected {when}: {escape(expected.arm)} ahead by {expected_by}; {seen}."


def _more_pairs(one: Judged, question: Question) -> None:
    """Queue further pairs, where they would tell."""
    study = question.study
    if study is None or one.verdict is None:
        return
    there = study.study.pairs + study.added_pairs
    needed = one.verdict.more_pairs
    wanted = needed.likely if needed else ONE_CLICK_PAIRS
    if needed and needed.likely > MAXIMUM_PAIRS - there:
        st.caption(
            f"A study holds at most {MAXIMUM_PAIRS} pairs: more training images or epochs, or a "
            "larger difference that matters, would decide sooner."
        )
    more = min(wanted, ONE_CLICK_PAIRS, MAXIMUM_PAIRS - there)
    if more < 1 or any(not summarise(run).state.is_over for run in study.runs()):
        return
    adds = of_store(study.path.parent).pairs_to_add(study, more)
    more -= max(there + adds - MAXIMUM_PAIRS, 0)
    adds = min(adds, MAXIMUM_PAIRS - there)
    if more < 1:
        return
    runs = more * len(study.study.arms)
    is_part = more < wanted <= MAXIMUM_PAIRS - there
    some = f"{more} of {wanted}" if is_part else f"{more}"
    taken = (
        f" {adds - more} more were computed in another study: they are taken over."
        if adds > more
        else ""
    )
    if access.button(
        f"Run {some} more pair" + ("" if wanted == 1 else "s") + f" ({runs} runs)",
        icon=":material/add_circle:",
        key="more-pairs",
        help="Pairs of all arms of the study. Those that are added after a look are judged "
        "by an interval that allows for looking, which is wider; what the planned pairs said stays "
        f"on this card.{taken}",
    ):
        add_pairs(study, adds)
        launcher().ensure_worker(store())
        st.rerun()


def _fair(one: Judged, first: ShownArm) -> None:
    """Launch what can be compared, where the two cannot: the first, and it with one change."""
    recipes = one.contrast.fair() if one.contrast.refusal("", "") else None
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
        asked, pairs = first.runs[0].study.study, len(first.runs)
        arms = name_arms(recipes)
        study = replace(asked, title=title, arms=arms, pairs=pairs, expectation=None)
        address.remember([launch(study, store()).id])
        st.switch_page("app.py")


def _family(judged: list[Judged], arms: Sequence[ShownArm], question: Question) -> None:
    """All contrasts in a table."""
    with st.expander(f"All {len(judged)} contrasts", icon=":material/table_rows:"):
        rows = [_row(one, arms, question.metric) for one in judged]
        show_table(pd.DataFrame(rows).set_index("Contrast"))
        st.caption(
            "p: of no difference, raw and adjusted for the number of contrasts that can be "
            "compared (Holm). Each interval has the confidence that the adjustment leaves it."
        )


def _row(one: Judged, arms: Sequence[ShownArm], metric: Metric) -> dict[str, str]:
    said, none = one.verdict, "–"
    row = {
        "Contrast": f"{arms[one.first].title} – {arms[one.second].title}",
        "Differs in": ", ".join(one.contrast.factors) or "nothing",
    }
    words = "not comparable" if said is None else str(said.outcome)
    if said and said.outcome in (Outcome.BETTER, Outcome.SMALL):
        words = f"{arms[one.first if said.difference > 0 else one.second].title}: {words}"
    interval = said.interval if said else None
    return row | {
        f"Difference ({metric.unit})": metric.gain(said.difference)
        if said and len(one.pairs)
        else none,
        "Interval": f"{metric.gain(interval.low)} to {metric.gain(interval.high)}"
        if interval
        else none,
        "Pairs won": f"{said.won} of {said.pairs}" if said else none,
        "p": f"{said.p:.2g}" if said and interval else none,
        "p (Holm)": f"{one.adjusted_p:.2g}" if said and interval else none,
        "Verdict": words,
    }
