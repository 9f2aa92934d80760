"""What happens when one phase follows another: the losses of single steps, and gradients."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.steps import EDGE
from tl_engine.charts.phase_effects import Arms, add_lines, of_arm, room
from tl_engine.charts.phases import layers
from tl_engine.charts.style import NEUTRAL, figure, say_empty, seeds_words, translucent
from tl_engine.text import markup

APART = 2 * EDGE + 20
"""Steps from one switch on the axis to the next."""
TICKS = [value * 10.0**power for power in range(-6, 4) for value in (1, 3)]
SYMBOLS = ("circle", "diamond-open", "square-open", "triangle-up-open")
"""Of an arm's first phase that trains more than the head, its second and so on."""


def losses(around: pd.DataFrame, arms: Arms) -> go.Figure:
    """The loss of each of the last steps before a switch and of the first after it.

    Args:
        around: as `analysis.diagnosis.around_switches` gives it.
    """
    made = figure(
        "Loss across the switch",
        f"of single training batches, up to {EDGE} steps<br>either side, {_seeds(around)}",
        margin_t=96,
        **room(arms),
    )
    if around.empty:
        return say_empty(made, "It is drawn where one phase followed another.")
    placed = around.assign(along=APART * around["phase"] + around["step"])
    for key, arm in arms.items():
        ours = of_arm(placed, key)
        for place, (_, part) in enumerate(ours.groupby("phase")):
            look = ("along", "loss", markup(arm.name), arm.colour, ".4f")
            add_lines(made, part, *look, legend=place == 0, mode="lines")
    phases = sorted(set(around["phase"]))
    for phase in phases:
        made.add_vline(APART * phase, line={"color": translucent(NEUTRAL, 0.8), "width": 1})
    ticks = [
        (APART * phase + step, f"phase {phase + 1}<br>begins" if not step else f"{step:+d}")
        for phase in phases
        for step in (-EDGE, 0, EDGE)
    ]
    made.update_xaxes(
        title="Optimizer step",
        tickvals=[place for place, _ in ticks],
        ticktext=[words for _, words in ticks],
    )
    made.update_yaxes(title="Loss (cross-entropy)")
    return made


def gradients(rows: pd.DataFrame, arms: Arms) -> go.Figure:
    """How large each block's gradient is for its weights, when a phase begins that trains it.

    Args:
        rows: as `analysis.diagnosis.gradients` gives them.
    """
    made = figure(
        "Gradients when layers are freed",
        "‖g‖ / ‖W‖, first training batch of phases that<br>"
        f"train more than the head, {_seeds(rows)}",
        margin_t=96,
        **room(arms),
    )
    known = rows[rows["relative"] > 0]
    if known.empty:
        return say_empty(made, "It is drawn for phases that train more than the head.")
    # Of the phase that frees most: a phase of few blocks would put the head under the others.
    blocks = max((list(part) for _, part in known.groupby(["run", "phase"])["block"]), key=len)
    height = {block: place for place, block in enumerate(blocks)}
    apart = 0.7 / len(arms)
    for number, (key, arm) in enumerate(arms.items()):
        shift = apart * ((len(arms) - 1) / 2 - number)
        ours = of_arm(known, key)
        for place, phase in enumerate(sorted(set(ours["phase"]))):
            part = ours[ours["phase"] == phase]
            name = f"{markup(arm.name)}, phase {phase + 1} ({layers(part['trained'].iloc[0])})"
            look = {"color": arm.colour, "symbol": SYMBOLS[place % len(SYMBOLS)]}
            means = np.exp(np.log(part["relative"]).groupby(part["block"], sort=False).mean())
            for values, size, faint in (
                (part.set_index("block")["relative"], 4, 0.5),
                (means, 9, 1),
            ):
                made.add_scatter(
                    x=values,
                    y=[height[block] + shift for block in values.index],
                    mode="markers",
                    marker={**look, "size": size, "opacity": faint},
                    name=name,
                    showlegend=size > 4,
                    hovertemplate=f"{name}<br>%{{x:.3g}}<extra></extra>",
                )
    made.update_xaxes(title="‖g‖ / ‖W‖, large: geometric mean", type="log", tickvals=TICKS)
    made.update_yaxes(
        title="Block, input at the bottom",
        tickvals=list(height.values()),
        ticktext=[markup(block) for block in blocks],
    )
    made.update_layout(height=made.layout.height + 18 * max(len(blocks) - 6, 0))
    return made


def _seeds(rows: pd.DataFrame) -> str:
    return seeds_words(rows.groupby(["study", "arm"])["run"].nunique())
