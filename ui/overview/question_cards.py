"""What the newest studies allow one to say, on Overview: a sentence and its interval for each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any

import streamlit as st

from tl_engine.analysis.contrast import ORDER
from tl_engine.analysis.health import Level
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
from tl_engine.text import escape, plain
from ui.compare.verdict_view import HEALTH, INCOMPARABLE, MARKS, MOST_ARMS

SHOWN = 3
"""Studies of which the page tells."""
LOOKED_AT = 40
"""The newest studies, among which it looks for them."""
DECIDED = (Outcome.BETTER, Outcome.SMALL, Outcome.EQUIVALENT)
MOST_RUNS = 200
"""Of a larger study Compare tells: reading it would keep the table waiting."""


def show(standings: Iterable[tuple[Run, Summary]]) -> None:
    """Draw it, from every run and how it stands, newest study first; nothing where no study has a
    pair of arms to compare."""
    cards = list(islice(_cards(_studies(standings)), SHOWN))
    if not cards:
        return
    with st.container(border=True, gap="xsmall"):
        st.markdown("**What the evidence says**")
        for card in cards:
            _row(*card)


def _studies(standings: Iterable[tuple[Run, Summary]]) -> Iterator[list[Run]]:
    """The runs of each of the newest studies in which two arms have a finished run."""
    for _, group in islice(groupby(standings, lambda one: one[0].study.id), LOOKED_AT):
        states = [(run, summary.state) for run, summary in group]
        finished = {run.arm_index for run, state in states if state is RunState.FINISHED}
        sound = [run for run, state in states if state is not RunState.DAMAGED]
        if len(finished) > 1 and len(sound) <= MOST_RUNS:
            yield sound


def _cards(
    studies: Iterable[list[Run]],
) -> Iterator[tuple[list[Arm], Question, list[Judged], Judged]]:
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
                # What can be compared comes first, orders before all else.
                new.sort(key=lambda one: (bool(one.refusal), one.contrast.factors != (ORDER,)))
                shown |= {_recipes(one) for one in judged}
                yield arms, question, judged, new[0]


def _recipes(one: Judged) -> frozenset[str]:
    return frozenset(map(recipe_id, (one.contrast.first, one.contrast.second)))


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
    """The study, the sentence with what it rests on, and the interval in the colour of the arm that
    is ahead."""
    study, verdict = arms[0].runs[0].study, one.verdict
    name, words, picture = st.columns([20, 62, 25], vertical_alignment="center")
    name.page_link(
        "pages/2_Compare.py",
        label=f"**{escape(study.title, 60)}**",
        icon=":material/compare_arrows:",
        query_params={"ids": study.id},
    )
    basis = f":small[:gray[{escape(_basis(one, judged, question))}]]"
    sentence = verdict.sentence if verdict else one.refusal
    words.markdown(f"{_mark(one)} {escape(sentence, 1600)} {basis}")
    if verdict:
        ahead = arms[one.first if verdict.difference >= 0 else one.second]
        _draw_interval(picture, verdict, question.smallest, ahead.colour)


def _mark(one: Judged) -> str:
    """The symbol of the verdict, behind that of a problem of its runs."""
    mark = MARKS[one.verdict.outcome] if one.verdict else INCOMPARABLE
    if one.health and one.health.level is Level.PROBLEM:
        return f"{HEALTH[Level.PROBLEM]} {mark}"
    return mark


def _draw_interval(place: Any, verdict: Verdict, smallest: float, colour: str) -> None:
    if verdict.interval is None or not all(map(math.isfinite, verdict.interval)):
        return
    mean, (low, high) = verdict.difference, verdict.interval
    if mean < 0 and verdict.outcome in (Outcome.BETTER, Outcome.SMALL):  # as in the sentence
        mean, low, high = -mean, -high, -low
    alt = plain(verdict.sentence)
    place.image(interval_svg(mean, low, high, smallest, colour, alt), alt=alt)


def _basis(one: Judged, judged: list[Judged], question: Question) -> str:
    """What it rests on, and how many more contrasts there are."""
    words = f"{question.metric.title}; {rests_on(one, question)}"
    verdicts = [each.verdict for each in judged if each.verdict]
    if len(verdicts) < 2:
        return words
    decided = sum(verdict.outcome in DECIDED for verdict in verdicts)
    return f"{words}; one of {len(verdicts)} contrasts that can be compared, {decided} decided"
