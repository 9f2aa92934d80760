"""What phases did to networks: one chart after another, and a table by phase."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import filterfalse
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis import phase_tables
from tl_engine.analysis.phase_tables import EARLIER, STANDING, RunPhases
from tl_engine.charts import phase_effects, phase_switch
from tl_engine.charts.arm_style import ArmKey, of_arm
from tl_engine.charts.phase_effects import images_words
from tl_engine.report.amounts import number
from tl_engine.report.arms import Arm
from tl_engine.report.section import Drawing, Section, charted, note
from tl_engine.report.sections.agreement_sections import apart
from tl_engine.report.shown_results import Results, cost_of


class PhaseChart(NamedTuple):
    """A chart over all arms, the function of `analysis.phase_tables` that gives what it draws, and
    words as a Section has them."""

    key: str
    draw: Callable[..., go.Figure]
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
"""Of the table by phase."""


def limits(results: Results) -> list[Section]:
    """What the diagnostics cannot tell, which runs have none, and on which images they are."""
    records, recorded = results.phase_records, _recorded(results)
    sections = [Section(key="standing", text=STANDING), *_left_out(records)]
    if recorded:
        images = images_words(phase_tables.states(recorded)["images"])
        sections += note(
            "probe",
            f"The probe: {images}, as many as a run can afford, clean and with a mild corruption; "
            "looked at when a phase ends.",
        )
    return sections


def phase_charts(results: Results) -> list[Section]:
    """A Section for each of CHARTS, and how far the first two arms are from each other; nothing
    where no run was looked at."""
    if not (recorded := _recorded(results)):
        return []
    arms = _drawn(results)
    styles, cost = {arm.key: arm.style for arm in arms}, cost_of(arms)
    frames = {chart.rows: chart.rows(recorded) for chart in CHARTS}
    sections = [
        charted(
            f"explain-{chart.key}",
            chart.alt,
            Drawing(chart.draw, (frames[chart.rows], styles), cost),
            method=chart.method,
        )
        for chart in CHARTS
    ]
    return [*sections, *apart(results, cost)]


def drift(results: Results) -> list[Section]:
    """How far each block's weights moved in each arm, in shades that compare."""
    blocks, arms = phase_tables.blocks(_recorded(results)), _drawn(results)
    ends = blocks[blocks["is_end"]]
    highest = float(ends.groupby(["study", "arm", "stage", "block"])["drift"].mean().max())
    sections = [
        charted(
            f"drift-{place}",
            f"Weight drift of {arm.style.name}",
            Drawing(
                phase_effects.drift_map,
                (of_arm(blocks, arm.key), arm.style, highest),
                cost_of(arms),
            ),
        )
        for place, arm in enumerate(arms)
    ]
    words = (
        "Dark cells moved most; the shade means the same for every arm. A phase that freezes a "
        "block leaves its number as it was."
    )
    return [*sections, *note("drift", words)] if sections else []


def phase_table(results: Results) -> list[Section]:
    """The numbers by arm and phase, means of seeds."""
    if not (recorded := _recorded(results)):
        return []
    titles = {arm.key: arm.style.name for arm in _drawn(results)}
    return [
        Section(
            key="explain-phases",
            table=_readable(phase_tables.by_phase(recorded), titles),
            method="Energy: mean distance of the probabilities from the truth, 0 to 1.41; the "
            "higher, the harder the phase pulls. Spike: the highest mean of five steps among its "
            "first 25 minus the highest among the last 25 before; chance alone makes it 0 on "
            "average. Recovered: the step from which on five were back at what was usual before, "
            "– where no run's first 50 were. Barrier: how far the loss on the way lies above the "
            "chord between its two ends at most. Head moved: distance of its kernel from the run's "
            "first, over that one's norm. BatchNorm moved: the block whose moving means moved "
            "most, in first standard deviations.",
        )
    ]


def _recorded(results: Results) -> list[RunPhases]:
    """The records of the runs that were looked at."""
    return [run for run in results.phase_records if phase_tables.has_diagnosis(run.phases)]


def _drawn(results: Results) -> list[Arm]:
    """The arms that have a run which was looked at."""
    keys = {(run.study, run.arm) for run in _recorded(results)}
    return [arm for arm in results.arms if arm.key in keys]


def _left_out(records: list[RunPhases]) -> list[Section]:
    """Which runs were not looked at, with the reason."""
    phases = [run.phases for run in records]
    missing = filterfalse(phase_tables.has_diagnosis, phases)
    reasons = Counter(map(phase_tables.why_not, missing))
    if len(records) == 1 and reasons[""]:
        return [Section(key="left-out", text=f"This run was {EARLIER}.")]
    words = f"of {len(records)} runs left out"
    return [
        Section(key="left-out", text=f"{count} {words}: {why or EARLIER + '.'}")
        for why, count in sorted(reasons.items())
    ]


def _readable(rows: pd.DataFrame, titles: Mapping[ArmKey, str]) -> pd.DataFrame:
    """Means of the seeds in words, without columns that no phase has."""
    phases = rows.groupby(["study", "arm", "phase"], sort=False)
    means: pd.DataFrame = phases[list(COLUMNS)].mean().dropna(axis=1, how="all")
    shown = {
        COLUMNS[name]: [_cell(name, value) for value in means[name]] for name in map(str, means)
    }
    if "recovered" in means:
        counts = phases["recovered"].agg(["count", "size"]).to_numpy()
        shown[COLUMNS["recovered"]] = [
            f"{words} ({count} of {runs})" if 0 < count < runs else words
            for words, (count, runs) in zip(shown[COLUMNS["recovered"]], counts, strict=True)
        ]
    index = [f"{titles[study, arm]}, phase {phase + 1}" for study, arm, phase in means.index]
    return pd.DataFrame(shown, index=pd.Index(index, name="Mean of seeds"))


def _cell(name: str, value: float) -> str:
    if name == "recovered":
        return f"step {value:.3g}" if pd.notna(value) else "–"
    if name == "spike":
        return number(value, "+.3f")
    return "0" if value == 0 else number(value, ".3f")
