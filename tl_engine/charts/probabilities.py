"""The most likely classes of one picture, as bars."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from tl_engine.charts.style import figure, plain, translucent


def top_bars(predictions: Sequence[tuple[str, float]], truth: str | None, colour: str) -> go.Figure:
    """Bars with numbers, most likely first; the truth, where known, carries a tick.

    Args:
        predictions: label and probability (0 to 1), most likely first.
    """
    labels = [label for label, _ in predictions]
    right = truth is not None and labels[0] == truth
    title = "" if truth is None else ("✓ right" if right else "✗ wrong")
    names = [plain(label, 28) + (" ✓" if label == truth else "") for label in labels]
    made = figure(title, "", height=70 + 34 * len(labels))
    made.add_bar(
        x=[probability for _, probability in predictions],
        y=names,
        orientation="h",
        marker={"color": [colour, *[translucent(colour, 0.45)] * (len(labels) - 1)]},
        text=[f"{probability:.1%}" for _, probability in predictions],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.2%}<extra></extra>",
    )
    made.update_xaxes(range=[0, 1.18], visible=False)
    made.update_yaxes(autorange="reversed", showgrid=False)
    made.update_layout(margin={"l": 10, "r": 10, "t": 40 if title else 10, "b": 10}, bargap=0.3)
    return made
