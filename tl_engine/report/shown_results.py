"""What is shown at once: runs by arm, the two arms that are compared, and what both scored."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from tl_engine.analysis.budgets import in_words
from tl_engine.analysis.phase_tables import RunPhases
from tl_engine.analysis.score_table import score_table
from tl_engine.charts.arm_style import ArmKey
from tl_engine.report.arms import Arm, Question, arms_of, finished, question_of
from tl_engine.report.judgement import Judged, judge
from tl_engine.runs import Run, joined_history, summarise


def common_pairs(first: Arm, second: Arm) -> list[int]:
    """Numbers of the pairs that have finished in both arms."""
    return [pair for pair in first.finished if pair in second.finished]


def cost_of(arms: Sequence[Arm]) -> str:
    """What a run of these arms costs, in words."""
    return in_words(arm.recipe for arm in arms)


def is_live(runs: Sequence[Run]) -> bool:
    """Whether there will be more of any of them."""
    return any(not summarise(run).state.is_over for run in runs)


def scores_of(history: pd.DataFrame, runs: Sequence[Run]) -> pd.DataFrame:
    """The score of every run, from their history: rows of `analysis.score_table.score_table`."""
    recipes = {run.id: summarise(run).recipe for run in runs}
    images = {run: recipe.validation_images for run, recipe in recipes.items() if recipe}
    return score_table(history, images)


@dataclass(frozen=True)
class Results:
    """What every section is composed from; it is read from disk once, when it is asked for.

    Attributes:
        contrast: the two arms that are compared; None where no two are.
        any_budget: compare arms that cost differently, too.
    """

    runs: Sequence[Run]
    arms: Sequence[Arm]
    contrast: tuple[Arm, Arm] | None = None
    any_budget: bool = False

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row per epoch of every run."""
        return joined_history(self.runs)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row per run (`scores_of`)."""
        return scores_of(self.history, self.runs)

    @cached_property
    def final_scores(self) -> pd.DataFrame:
        """One row per finished run."""
        return finished(self.arms, self.scores)

    @cached_property
    def phase_records(self) -> list[RunPhases]:
        """What every run recorded of its phases."""
        return [
            RunPhases(*arm.key, run.pair, run.id, run.scores.get("phases", []))
            for arm in self.arms
            for run in arm.runs
        ]

    @cached_property
    def question(self) -> Question:
        """What was fixed before the first run."""
        return question_of(self.arms, self.scores)

    @cached_property
    def judgements(self) -> list[Judged]:
        """Every contrast of the arms, judged."""
        scores, history, question = self.scores, self.history, self.question
        return judge(self.arms, scores, history, question, any_budget=self.any_budget)

    @property
    def judgement(self) -> Judged:
        """The judgement of the contrast; raises as `two_arms`."""
        places = tuple(map(self.arms.index, self.two_arms))
        return next(one for one in self.judgements if (one.first, one.second) == places)

    @property
    def two_arms(self) -> tuple[Arm, Arm]:
        """The two arms that are compared; raises ValueError where no two are."""
        if self.contrast is None:
            raise ValueError("This section compares two arms; none are chosen.")
        return self.contrast

    @property
    def contrast_first(self) -> list[Arm]:
        """The arms with a finished run, those that are compared first."""
        compared = list(self.contrast or ())
        arms = [*compared, *(arm for arm in self.arms if arm not in compared)]
        return [arm for arm in arms if arm.finished]

    @property
    def common_pairs(self) -> list[int]:
        """Numbers of the pairs that have finished in both arms of the contrast."""
        return common_pairs(*self.two_arms)


def results_of(
    runs: Sequence[Run], contrast: Collection[ArmKey] = (), *, any_budget: bool = False
) -> Results:
    """The results of some runs, at least one, in which the two arms of these keys are compared;
    without both among the runs, none are."""
    arms = arms_of(runs)
    compared = [arm for arm in arms if arm.key in contrast]
    two = (compared[0], compared[1]) if len(compared) == 2 else None
    return Results(runs, arms, two, any_budget)
