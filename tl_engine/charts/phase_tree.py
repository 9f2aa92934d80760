"""The tree of a study: what its arms share, and where they part."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from html import escape

from tl_engine.charts.phases import GAP, HEIGHT, PhaseFacts, phase_label, segment

Path = Sequence[tuple[Hashable, PhaseFacts]]
"""An arm's phases, each with what names the state that it ends in: two arms share a phase where
that is equal, not where two phases only look alike."""
ROW = HEIGHT + 8
NAME_ROOM, NAME_LENGTH = 240, 38
LINE = "#8A97A6"
"""Between a phase and what follows it in another row; to be seen on light and on dark."""


def shares(paths: Sequence[Path]) -> bool:
    """Whether two of the arms share their first phase."""
    return len({path[0][0] for path in paths}) < len(paths)


def tree_svg(paths: Mapping[str, Path], width: int = 760) -> str:
    """A row per arm, a column per phase; a phase that an arm above has too is not drawn again.

    Args:
        paths: by the arm's name its phases; arms that begin alike stand below one another.
        width: of the picture, in pixels.
    """
    deepest = max(len(path) for path in paths.values())
    column = (width - NAME_ROOM) / deepest
    rows: dict[Hashable, int] = {}
    parts = []
    for row, (name, path) in enumerate(paths.items()):
        for depth, (end, facts) in enumerate(path):
            if end in rows:
                continue
            rows[end] = row
            left = depth * column
            if depth and (above := rows[path[depth - 1][0]]) != row:
                parts.append(_branch(left - GAP, above, row))
            parts.append(segment(facts, left, column - 4 * GAP, row * ROW))
        parts.append(_name(name, len(path) * column, row))
    height = len(paths) * ROW
    words = "; ".join(
        f"{name}: {', then '.join(phase_label(*facts) for _, facts in path)}"
        for name, path in paths.items()
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(words, quote=True)}">'
        f"{''.join(parts)}</svg>"
    )


def _branch(x: float, above: int, row: int) -> str:
    """From the end of a phase in a row above down to the beginning of one in this row."""
    x = x - 1.5 * GAP
    top, bottom = above * ROW + HEIGHT / 2, row * ROW + HEIGHT / 2
    return (
        f'<path d="M{x:.1f} {top:.1f} V{bottom:.1f} H{x + 2.5 * GAP:.1f}" fill="none" '
        f'stroke="{LINE}" stroke-width="2"/>'
    )


def _name(name: str, left: float, row: int) -> str:
    """An arm's name beside its last phase, as far as there is room."""
    shown = name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"
    return (
        f'<text x="{left:.1f}" y="{row * ROW + HEIGHT / 2:.1f}" fill="{LINE}" font-size="12" '
        f'font-family="system-ui, sans-serif" dominant-baseline="central">{escape(shown)}'
        "</text>"
    )
