"""What the newest studies allow one to say, on Overview: a sentence and its interval for each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import streamlit as st

from tl_engine.analysis.contrast import ORDER
from tl_engine.analysis.pooling import comparisons_of
from tl_engine.analysis.verdict import Outcome, Verdict
from tl_engine.charts.svg_pictures import interval_svg
from tl_engine.errors import StoreError
from tl_engine.report.arms import Arm, Question, arms_of, question_of
from tl_engine.report.judgement import Judged, judge
from tl_engine.report.shown_results import scores_of
from tl_engine.report.verdict_table import rests_on
from tl_engine.runs import Run, RunState, Summary, joined_history
from tl_engine.runs.observations import recipe_id
from ui import health_note
from ui.compare.verdict_view import INCOMPARABLE, MARKS, MOST_ARMS
from ui.words import escape, plain

SHOWN = 3
"""Studies of which the page tells."""
LOOKED_AT = 40
"""The newest studies, among which it looks for them."""
DECIDED = (Outcome.BETTER, Outcome.SMALL, Outcome.EQUIVALENT)
MOST_RUNS = 200
"""Of a larger study Compare tells: reading it would keep the table waiting."""


def show(standings: Sequence[tuple[Run, Summary]]) -> None:
    """Draw it; nothing where no study has a pair of arms to compare.

    Args:
        standings: every run and how it stands, newest study first.
    """
    cards = list(islice(_cards(_studies(standings)), SHOWN))
    if not cards:
        return
    with st.container(border=True, gap="xsmall"):
        st.markdown("**What the evidence says**")
        for arms, question, judged, one in cards:
            _row(arms, question, judged, one)


Told = tuple[list[Arm], Question, list[Judged], Judged]


def _cards(studies: list[list[Run]]) -> Iterator[Told]:
    """What each study has to say of a comparison that no newer one asks."""
    shown: set[frozenset[str]] = set()
    for runs in studies:
        asked = comparisons_of(map(recipe_id, {run.recipe for run in runs}))
        if asked and asked <= shown:
            continue
        if judgement := _judge(runs):
            arms, question, judged = judgement
            new = [one for one in judged if _recipes(one) not in shown]
            if new:
                one = min(new, key=_rank)
                shown |= {_recipes(each) for each in judged}
                yield arms, question, judged, one


def _rank(one: Judged) -> tuple[bool, bool]:
    """What can be compared comes first, orders before all else."""
    return bool(one.refusal), one.contrast.factors != (ORDER,)


def _recipes(one: Judged) -> frozenset[str]:
    return frozenset(map(recipe_id, (one.contrast.first, one.contrast.second)))


def _studies(standings: Sequence[tuple[Run, Summary]]) -> list[list[Run]]:
    """The runs of each of the newest studies in which two arms have a finished run."""
    runs: dict[str, list[Run]] = {}
    done: dict[str, set[int]] = {}
    for run, summary in standings:
        if run.study.id not in runs and len(runs) == LOOKED_AT:
            break
        ours = runs.setdefault(run.study.id, [])
        if summary.state is not RunState.DAMAGED:  # nothing is said of its arm
            ours.append(run)
        if summary.state is RunState.FINISHED:
            done.setdefault(run.study.id, set()).add(run.arm_index)
    return [
        ours
        for study, ours in runs.items()
        if len(done.get(study, ())) > 1 and len(ours) <= MOST_RUNS
    ]


def _judge(runs: list[Run]) -> tuple[list[Arm], Question, list[Judged]] | None:
    arms = arms_of(runs)
    if len(arms) > MOST_ARMS:
        return None
    try:
        history = joined_history(runs)
    except StoreError:  # corrupted or deleted a moment ago; the table will say so
        return None
    scored = scores_of(history, runs)
    question = question_of(arms, scored)
    return arms, question, judge(arms, scored, history, question)


def _row(arms: list[Arm], question: Question, judged: list[Judged], one: Judged) -> None:
    """The study, the sentence with what it rests on, and the picture."""
    study = arms[0].runs[0].study
    verdict = one.verdict
    mark = MARKS[verdict.outcome] if verdict else INCOMPARABLE
    sentence = verdict.sentence if verdict else one.refusal
    name, words, picture = st.columns([20, 62, 25], vertical_alignment="center")
    name.page_link(
        "pages/2_Compare.py",
        label=f"**{escape(study.title, 60)}**",
        icon=":material/compare_arrows:",
        query_params={"ids": study.id},
    )
    rests_on = f":small[:gray[{escape(_count(one, judged, question))}]]"
    words.markdown(f"{health_note.mark(one.health)}{mark} {escape(sentence, 1600)} {rests_on}")
    if verdict and verdict.interval and all(map(math.isfinite, verdict.interval)):
        picture.image(_picture(arms, one, verdict, question.smallest), alt=plain(sentence))


def _count(one: Judged, judged: list[Judged], question: Question) -> str:
    """What it rests on, and how many more contrasts there are."""
    words = f"{question.metric.title}; {rests_on(one, question)}"
    verdicts = [each.verdict for each in judged if each.verdict]
    if len(verdicts) < 2:
        return words
    decided = sum(verdict.outcome in DECIDED for verdict in verdicts)
    return f"{words}; one of {len(verdicts)} contrasts that can be compared, {decided} decided"


def _picture(arms: list[Arm], one: Judged, verdict: Verdict, smallest: float) -> str:
    """The interval in the colour of the arm that is ahead, on the same side as in the sentence."""
    low, high = verdict.interval or (math.nan, math.nan)
    ahead = arms[one.first if verdict.difference >= 0 else one.second]
    mirrored = verdict.difference < 0 and verdict.outcome in (Outcome.BETTER, Outcome.SMALL)
    place = (-verdict.difference, -high, -low) if mirrored else (verdict.difference, low, high)
    return interval_svg(*place, smallest, ahead.colour, plain(verdict.sentence))
