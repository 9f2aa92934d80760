"""What happens when one phase follows another: the losses of single steps, and gradients."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.measures import EDGE
from tl_engine.charts.arm_style import Arms, add_losses, arms_figure, of_arm, seeds_of
from tl_engine.charts.style import NEUTRAL, hover, layers, say_empty, translucent
from tl_engine.text import markup

APART = 2 * EDGE + 20
"""Steps from one switch on the axis to the next."""
TICKS = [value * 10.0**power for power in range(-6, 4) for value in (1, 3)]
SYMBOLS = ("circle", "diamond-open", "square-open", "triangle-up-open")
"""Of an arm's first phase that trains more than the head, its second and so on."""


def losses(around: pd.DataFrame, arms: Arms) -> go.Figure:
    """The loss of each of the last steps before a switch and of the first after it, as
    `analysis.phase_tables.around_switches` gives them."""
    seeds = seeds_of(around)
    subtitle = f"of single training batches, up to {EDGE} steps<br>either side, {seeds}"
    made = arms_figure("Loss across the switch", subtitle, arms)
    if around.empty:
        return say_empty(made, "It is drawn where one phase followed another.")
    placed = around.assign(along=APART * around["phase"] + around["step"])
    add_losses(made, placed, arms, "along", mode="lines")
    ticks: dict[int, str] = {}
    for phase in sorted(set(around["phase"])):
        middle = APART * phase
        made.add_vline(middle, line={"color": translucent(NEUTRAL, 0.8), "width": 1})
        ticks |= {middle - EDGE: f"-{EDGE}", middle: f"phase {phase + 1}<br>begins"}
        ticks[middle + EDGE] = f"+{EDGE}"
    made.update_xaxes(title="Optimizer step", tickvals=list(ticks), ticktext=list(ticks.values()))
    return made.update_yaxes(title="Loss (cross-entropy)")


def gradients(rows: pd.DataFrame, arms: Arms) -> go.Figure:
    """How large each block's gradient is for its weights, when a phase begins that trains it, as
    `analysis.phase_tables.gradients` gives them."""
    words = "‖g‖ / ‖W‖, first training batch of phases that<br>train more than the head"
    made = arms_figure("Gradients when layers are freed", f"{words}, {seeds_of(rows)}", arms)
    measured = rows[rows["relative"] > 0]
    if measured.empty:
        return say_empty(made, "It is drawn for phases that train more than the head.")
    # Of the phase that frees most: a phase of few blocks would put the head under the others.
    blocks = max((list(part) for _, part in measured.groupby(["run", "phase"])["block"]), key=len)
    height = {block: place for place, block in enumerate(blocks)}
    apart = 0.7 / len(arms)
    for number, (key, arm) in enumerate(arms.items()):
        shift = apart * ((len(arms) - 1) / 2 - number)
        for place, (_, part) in enumerate(of_arm(measured, key).groupby("phase")):
            phase = part["phase"].iloc[0]
            name = f"{arm.name}, phase {phase + 1} ({layers(part['trained'].iloc[0])})"
            look = {"color": arm.colour, "symbol": SYMBOLS[place % len(SYMBOLS)]}
            means = np.exp(np.log(part["relative"]).groupby(part["block"], sort=False).mean())
            seeds = part.set_index("block")["relative"]
            for values, size, opacity in ((seeds, 4, 0.5), (means, 9, 1)):
                made.add_scatter(
                    x=values,
                    y=[height[block] + shift for block in values.index],
                    mode="markers",
                    marker={**look, "size": size, "opacity": opacity},
                    name=name,
                    showlegend=size > 4,
                    hovertemplate=hover(name, "%{x:.3g}"),
                )
    names = [markup(block) for block in blocks]
    made.update_xaxes(title="‖g‖ / ‖W‖, large: geometric mean", type="log", tickvals=TICKS)
    made.update_yaxes(
        title="Block, input at the bottom", tickvals=list(height.values()), ticktext=names
    )
    return made.update_layout(height=made.layout.height + 18 * max(len(blocks) - 6, 0))
