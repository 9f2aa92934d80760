"""The charts of what phases did to networks, each with how to read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis import phase_tables
from tl_engine.analysis.phase_tables import RunPhases
from tl_engine.charts import phase_effects, phase_switch


class PhaseChart(NamedTuple):
    """A chart over all arms.

    Attributes:
        key: of its section.
        rows: a function of `analysis.phase_tables` that gives what is drawn.
        alt, method: as a Section has them.
    """

    key: str
    chart: Callable[..., go.Figure]
    rows: Callable[[list[RunPhases]], pd.DataFrame]
    alt: str
    method: str


CHARTS = (
    PhaseChart(
        "refit",
        phase_effects.refit_lines,
        phase_tables.states,
        "Its own head, and one fitted anew",
        "Where the dotted line rises, the features got better; where only the full one does, "
        "the head did. The refitted classifier has few images, so read its change, not its "
        "level. A gap between two phases is another number of images, not a change.",
    ),
    PhaseChart(
        "distortion",
        phase_effects.distortion_bars,
        phase_tables.states,
        "Feature distortion",
        "A tall bar means that fine-tuning moved the features far; a phase that trains the "
        "head only moves none. Taller when clean than when corrupted: the features followed "
        "the training images and left others behind.",
    ),
    PhaseChart(
        "alike",
        phase_effects.alike_lines,
        phase_tables.blocks,
        "Likeness of features over depth",
        "At 1 a block still sees the images as it did at the start; where the line falls, "
        "training changed what is seen.",
    ),
    PhaseChart(
        "path",
        phase_effects.path_lines,
        phase_tables.paths,
        "The straight line through each phase",
        "A line that only falls meets no hill between the phase's first and last weights; one "
        "that rises before it falls had to cross a barrier.",
    ),
    PhaseChart(
        "head",
        phase_effects.head_lines,
        phase_tables.states,
        "Size of the head",
        "A flat line is a head that hardly learned in the phase, as with a tiny learning rate; "
        "a head that has learned pulls less at the features of the phase that follows.",
    ),
    PhaseChart(
        "switch",
        phase_switch.losses,
        phase_tables.around_switches,
        "Loss across the switch",
        "A jump at the switch is damage that the next phase has to make good first; none means "
        "that it goes on from where the phase before ended. The level also shifts where one "
        "phase trains with dropout and the other does not.",
    ),
    PhaseChart(
        "gradients",
        phase_switch.gradients,
        phase_tables.gradients,
        "Gradients when layers are freed",
        "Far to the right: the block wants to move much for its size. A head that knows "
        "nothing yet asks the body for large changes, one that has learned first asks for "
        "smaller ones.",
    ),
)
