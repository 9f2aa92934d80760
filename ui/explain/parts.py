"""What Explain shows of arms: what their phases did to the network, one chart after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tl_engine.analysis import phase_tables
from tl_engine.analysis.agreement import disagreement, seed_disagreement
from tl_engine.analysis.phase_tables import EARLIER, STANDING, RunPhases
from tl_engine.charts.agreement_matrix import Apart
from tl_engine.charts.arm_style import ArmStyle
from tl_engine.charts.phase_effects import images_words
from tl_engine.charts.seed_marks import Arms
from ui import figures, frame
from ui.arms import ShownArm, budget_of
from ui.compare.saved_predictions import finished_pairs, predictions_of
from ui.export import chart
from ui.words import escape, plain, table

Part = tuple[str, go.Figure, pd.DataFrame, str]
"""A chart of the strip: its key, its figure, its numbers and how to read it."""
COLUMNS = {
    "loss": "Loss at its start",
    "energy": "Energy at its start",
    "spike": "Spike",
    "recovered": "Recovered after",
    "barrier": "Barrier",
    "head_drift": "Head moved",
    "means_drift": "BatchNorm moved",
    "floor": "Loss floor at its end",
}


def explain(shown: Sequence[ShownArm]) -> None:
    """The whole strip for arms with finished runs: charts, each with how to read it, and a table
    by phase; sentences where there is nothing to draw."""
    st.info(STANDING, icon=":material/info:")
    told = [one for arm in shown for one in told_of(arm)]
    looked_at = [one for one in told if phase_tables.has_diagnosis(one.phases)]
    _say_missing(told, looked_at)
    if not looked_at:
        return
    arms = {arm.key: ArmStyle(arm.title, arm.colour) for arm in shown}
    there = {(one.study, one.arm) for one in looked_at}
    arms = {key: arm for key, arm in arms.items() if key in there}
    states = phase_tables.states(looked_at)
    st.caption(
        f"The probe: {images_words(states['images'])}, as many as a run can afford, "
        "clean and with a mild corruption; looked at when a phase ends."
    )
    budget = budget_of([arm for arm in shown if arm.key in arms])
    grid = st.grid(2, min_column_width=460, gap="medium")
    for part in _strip(looked_at, arms, budget):
        _draw(grid, *part)
    with frame.guarded():  # predictions may be damaged where all else is sound
        if len(shown) > 1 and (apart := _apart(shown, budget)):
            _draw(grid, *apart)
    _drift(phase_tables.blocks(looked_at), arms, budget)
    _phases(phase_tables.by_phase(looked_at), {key: arm.name for key, arm in arms.items()})


def told_of(arm: ShownArm) -> list[RunPhases]:
    """An arm's finished runs with the records of their phases."""
    study, name = arm.key
    return [
        RunPhases(study, name, run.pair, run.id, run.scores.get("phases", [])) for run in arm.runs
    ]


def _say_missing(told: Sequence[RunPhases], looked_at: Sequence[RunPhases]) -> None:
    missing = [one for one in told if one not in looked_at]
    if not missing:
        return
    reasons = {phase_tables.why_not(one.phases) for one in missing}
    if len(told) == 1 and reasons == {""}:
        st.info(f"This run was {EARLIER}.", icon=":material/history:")
        return
    for reason in sorted(reasons):
        ours = [one for one in missing if phase_tables.why_not(one.phases) == reason]
        count = f"{len(ours)} of {len(told)} runs"
        said = f"{count} left out: {reason}" if reason else f"{count} left out: {EARLIER}."
        st.info(escape(said), icon=":material/history:")


def _draw(grid: Any, key: str, figure: go.Figure, numbers: pd.DataFrame, words: str) -> None:
    """A chart, what saves it, and how to read it."""
    with grid.cell():
        chart(figure, numbers, f"explain-{key}", figure.layout.title.text)
        st.caption(words)


def _strip(told: list[RunPhases], arms: Arms, budget: str) -> tuple[Part, ...]:
    """The charts of what was looked at while training."""
    states, blocks, paths = (
        made(told) for made in (phase_tables.states, phase_tables.blocks, phase_tables.paths)
    )
    around, gradients = phase_tables.around_switches(told), phase_tables.gradients(told)
    return (
        (
            "refit",
            figures.refit_lines(states, arms, budget=budget),
            states,
            "Where the dotted line rises, the features got better; where only the full one does, "
            "the head did. The refitted classifier has few images, so read its change, not its "
            "level. A gap between two phases is another number of images, not a change.",
        ),
        (
            "distortion",
            figures.distortion_bars(states, arms, budget=budget),
            states,
            "A tall bar means that fine-tuning moved the features far; a phase that trains the "
            "head only moves none. Taller when clean than when corrupted: the features followed "
            "the training images and left others behind.",
        ),
        (
            "alike",
            figures.alike_lines(blocks, arms, budget=budget),
            blocks,
            "At 1 a block still sees the images as it did at the start; where the line falls, "
            "training changed what is seen.",
        ),
        (
            "path",
            figures.path_lines(paths, arms, budget=budget),
            paths,
            "A line that only falls meets no hill between the phase's first and last weights; one "
            "that rises before it falls had to cross a barrier.",
        ),
        (
            "head",
            figures.head_lines(states, arms, budget=budget),
            states,
            "A flat line is a head that hardly learned in the phase, as with a tiny learning rate; "
            "a head that has learned pulls less at the features of the phase that follows.",
        ),
        (
            "switch",
            figures.switch_losses(around, arms, budget=budget),
            around,
            "A jump at the switch is damage that the next phase has to make good first; none means "
            "that it goes on from where the phase before ended. The level also shifts where one "
            "phase trains with dropout and the other does not.",
        ),
        (
            "gradients",
            figures.freed_gradients(gradients, arms, budget=budget),
            gradients,
            "Far to the right: the block wants to move much for its size. A head that knows "
            "nothing yet asks the body for large changes, one that has learned first asks for "
            "smaller ones.",
        ),
    )


def _apart(shown: Sequence[ShownArm], budget: str) -> Part | None:
    """How far the first two arms are from each other, and each from itself with another seed; None
    where no pair of them can be compared."""
    first, second = shown[:2]
    ours, theirs = finished_pairs(first), finished_pairs(second)
    pairs = [pair for pair in ours if pair in theirs]
    if first.runs[0].recipe.dataset != second.runs[0].recipe.dataset or not pairs:
        return None
    between = [disagreement(predictions_of(ours[n]), predictions_of(theirs[n])) for n in pairs]
    rows = [Apart("The two arms, same seed", float(np.mean(between)), len(between))]
    for arm, runs in ((first, ours), (second, theirs)):
        known = seed_disagreement([predictions_of(run) for run in runs.values()])
        who = f"Two seeds of {plain(arm.title, 40)}"
        rows.append(Apart(who, known.share, known.couples, arm.colour))
    numbers = pd.DataFrame([row._asdict() for row in rows]).drop(columns="colour")
    words = (
        f"{escape(first.title)} and {escape(second.title)}. Another seed has another head, another "
        "order of batches and, of a subset, other training images: a grey bar as long as the "
        "others says that the arms are no further apart than two seeds of one of them, a shorter "
        "one that the seed changes more answers than what the arms differ in."
    )
    return "apart", figures.apart_bars(rows, budget=budget), numbers, words


def _drift(blocks: pd.DataFrame, arms: Arms, budget: str) -> None:
    st.subheader("How far the weights moved", anchor=False)
    ends = blocks[blocks["is_end"]]
    means = ends.groupby(["study", "arm", "stage", "block"])["drift"].mean()
    grid = st.grid(2, min_column_width=460, gap="medium")
    for place, (key, arm) in enumerate(arms.items()):
        ours = blocks[(blocks["study"] == key[0]) & (blocks["arm"] == key[1])]
        with grid.cell():
            figure = figures.drift_map(ours, arm, float(means.max()), budget=budget)
            chart(figure, ours, f"drift-{place}", f"Weight drift of {arm.name}")
    st.caption(
        "Dark cells moved most; the shade means the same for every arm. A phase that freezes a "
        "block leaves its number as it was."
    )


def _phases(rows: pd.DataFrame, titles: dict[tuple[str, str], str]) -> None:
    st.subheader("Phase by phase", anchor=False)
    means = rows.groupby(["study", "arm", "phase"], sort=False)[list(COLUMNS)].mean()
    means = means.dropna(axis=1, how="all")
    counts = rows.groupby(["study", "arm", "phase"], sort=False)["recovered"].agg(["count", "size"])
    means.index = pd.Index(
        [f"{titles[study, arm]}, phase {phase + 1}" for study, arm, phase in means.index],
        name="Mean of seeds",
    )
    known = [name for name in COLUMNS if name in means]
    shown = {COLUMNS[name]: [_cell(name, value) for value in means[name]] for name in known}
    if "recovered" in known:
        back = zip(shown[COLUMNS["recovered"]], counts.to_numpy(), strict=True)
        shown[COLUMNS["recovered"]] = [
            f"{words} ({there} of {runs})" if 0 < there < runs else words
            for words, (there, runs) in back
        ]
    st.markdown(table(pd.DataFrame(shown, index=means.index)))
    st.caption(
        "Energy: mean distance of the probabilities from the truth, 0 to 1.41; the higher, the "
        "harder the phase pulls. Spike: the highest mean of five steps among its first 25 minus "
        "the highest among the last 25 before; chance alone makes it 0 on average. Recovered: the "
        "step from which on five were back at what was usual before, – where no run's first 50 "
        "were. Barrier: how far the loss on the way "
        "lies above the chord between its two ends at most. Head moved: distance of its kernel "
        "from the run's first, over that one's norm. BatchNorm moved: the block whose moving means "
        "moved most, in first standard deviations."
    )


def _cell(name: str, value: float) -> str:
    if pd.isna(value):
        return "–"
    if name == "recovered":
        return f"step {value:.3g}"
    return f"{value:+.3f}" if name == "spike" else "0" if value == 0 else f"{value:.3f}"
