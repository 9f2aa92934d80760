"""What the study of some arms asked: by which metric, what difference matters, how many pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tl_engine.analysis.interval import LEAST_PAIRS
from tl_engine.analysis.pooling import comparisons_of, plan_of
from tl_engine.metric import ACCURACY, METRICS, Metric
from tl_engine.report.arms import Arm, evidence_of_arms, finished
from tl_engine.runs import StudyFolder
from tl_engine.runs.observations import recipe_id
from tl_engine.runs.studies import folder_of

if TYPE_CHECKING:
    import pandas as pd


class Question(NamedTuple):
    """What was fixed before the first run; where arms of several studies are compared, nothing.

    Attributes:
        study: None where the arms are of several studies.
        smallest: the smallest difference that matters, in the metric's column.
        is_planned: whether every comparison has exactly the pairs of its plan.
    """

    study: StudyFolder | None
    metric: Metric
    smallest: float
    is_planned: bool

    @property
    def planned(self) -> int | None:
        """Pairs that the study was launched with; None for arms of several studies."""
        return self.study.study.pairs if self.study else None


def question_of(arms: Sequence[Arm], scored: pd.DataFrame) -> Question:
    """What the arms' study asked; of several studies their metric, or accuracy where they have
    different ones, with the largest of their smallest differences that matter.

    Args:
        scored: rows of `analysis.score_table.score_table`.
    """
    folders = {run.study.id: folder_of(run) for arm in arms for run in arm.runs}
    if len(folders) > 1:
        studies = [folder.study for folder in folders.values()]
        names = {study.metric for study in studies}
        metric = METRICS[names.pop()] if len(names) == 1 else ACCURACY
        margins = [one.smallest_difference for one in studies if one.metric == metric.name]
        return Question(None, metric, max(margins, default=metric.smallest), False)
    (folder,) = folders.values()
    done = finished(arms, scored).groupby("arm")["seed"].nunique()
    pairs = int(done.min()) if len(done) == len(arms) else 0
    study = folder.study
    planned = is_planned(arms, pairs)
    return Question(folder, METRICS[study.metric], study.smallest_difference, planned)


def is_planned(arms: Sequence[Arm], pairs: int) -> bool:
    """Whether so many pairs of the arms are all that their study was launched with, none was added
    or computed before, and no earlier study had asked: only then was their number fixed before
    anybody looked."""
    folder = folder_of(arms[0].runs[0])
    runs = [run for arm in arms for run in arm.runs]
    is_alone = all(run.study.id == folder.id for run in runs)
    is_seen = any(run.recipe_record.get("computed_before") for run in runs)
    if not is_alone or is_seen or pairs != folder.study.pairs or folder.added_pairs:
        return False
    return pairs < LEAST_PAIRS or _asked_first(arms, folder)


def _asked_first(arms: Sequence[Arm], folder: StudyFolder) -> bool:
    """Whether the planned analysis of every comparison of the arms is that of this study."""
    recipes = {recipe_id(arm.runs[0].recipe) for arm in arms}
    evidence = evidence_of_arms(arms)
    asked = [
        evidence.with_seen(one) for one in evidence.questions() if len(recipes & {*one.recipes}) > 1
    ]
    numbers = tuple(folder.study.pair_numbers)
    return all(
        plan_of(comparison, asked, folder.study.metric) == numbers
        for comparison in comparisons_of(recipes)
    )
