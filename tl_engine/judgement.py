"""Judgements: what the runs of several arms allow one to say of each contrast between them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from tl_engine.analysis.budgets import Budget, budget
from tl_engine.analysis.contrast import Contrast, contrast
from tl_engine.analysis.scores import finals_of, pairs_of
from tl_engine.analysis.verdict import Pairs, Verdict, decide_all, holm
from tl_engine.metric import ACCURACY, METRICS, Metric
from tl_engine.runs import Run, RunState, StudyFolder, summarise

if TYPE_CHECKING:
    import pandas as pd


class ArmOfRuns(Protocol):
    """An arm with the runs of it that were chosen."""

    @property
    def key(self) -> tuple[str, str]:
        """(study id, arm name)."""

    @property
    def title(self) -> str:
        """What it is called among the others."""

    @property
    def runs(self) -> list[Run]:
        """At least one."""


class RunsOfArm(NamedTuple):
    """An arm with its chosen runs, where no page gives it a colour."""

    key: tuple[str, str]
    title: str
    runs: list[Run]


class Question(NamedTuple):
    """What was fixed before the first run; where arms of several studies are compared, nothing.

    Attributes:
        study: None where the arms are of several studies.
        smallest: the smallest difference that matters, in the metric's column.
        is_planned: whether all pairs that were planned, and no others, are in.
    """

    study: StudyFolder | None
    metric: Metric
    smallest: float
    is_planned: bool

    @property
    def planned(self) -> int | None:
        """Pairs that the study was launched with; None for arms of several studies."""
        return self.study.study.pairs if self.study else None


class Judged(NamedTuple):
    """A contrast with its verdict, or with why there is none.

    Attributes:
        first, second: places of the arms among those that were given.
        pairs: their scores, as `analysis.scores.pairs_of` gives them.
        refusal: why they cannot be compared; empty where they can.
        adjusted_p: the verdict's p, adjusted for the number of contrasts (Holm); NaN without one.
    """

    first: int
    second: int
    contrast: Contrast
    pairs: pd.DataFrame
    refusal: str
    verdict: Verdict | None = None
    adjusted_p: float = float("nan")


def arms_of(runs: Sequence[Run]) -> list[RunsOfArm]:
    """The runs by arm, in the order in which they were chosen, each arm with a title of its own:
    its name, where two share it with their studies' titles, and where they share those, ids."""
    arms: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        arms.setdefault((run.study.id, run.arm), []).append(run)
    names = [name for _, name in arms]
    titles = {key: of_arm[0].study.title for key, of_arm in arms.items()}
    long = {key: f"{key[1]} ({titles[key]})" for key in arms}
    counts = Counter(long.values())
    made = []
    for key, of_arm in arms.items():
        title = key[1] if names.count(key[1]) == 1 else long[key]
        if names.count(key[1]) > 1 and counts[title] > 1:
            title = f"{key[1]} ({titles[key]}, {key[0]})"
        made.append(RunsOfArm(key, title, of_arm))
    return made


def question_of(arms: Sequence[ArmOfRuns], scored: pd.DataFrame) -> Question:
    """What the arms' study asked.

    Args:
        scored: rows of `analysis.scores.score_table`.
    """
    studies = {arm.key[0]: arm.runs[0].study for arm in arms}
    if len(studies) > 1:
        return Question(None, ACCURACY, ACCURACY.smallest, False)
    (folder,) = studies.values()
    metric = METRICS[folder.study.metric]
    done = finished(arms, scored).groupby("arm")["seed"].nunique()
    pairs = int(done.min()) if len(done) == len(arms) else 0
    smallest = folder.study.smallest_difference
    return Question(folder, metric, smallest, is_planned(arms, pairs))


def is_planned(arms: Sequence[ArmOfRuns], pairs: int) -> bool:
    """Whether so many pairs of the arms are all that their study was launched with, and none was
    added: only then was their number fixed before anybody looked."""
    folder = arms[0].runs[0].study
    alone = all(arm.key[0] == arms[0].key[0] for arm in arms)
    return alone and pairs == folder.study.pairs and not folder.added_pairs


def finished(arms: Sequence[ArmOfRuns], scored: pd.DataFrame) -> pd.DataFrame:
    """Scores of the arms' finished runs: a run on its way has no final score."""
    done = [run.id for arm in arms for run in _done(arm)]
    return scored[scored["run"].isin(done)].dropna(subset="final")


def why_none(arms: Sequence[ArmOfRuns]) -> str:
    """Why nothing can be said of the chosen runs; empty where something can."""
    chosen = {run.id for arm in arms for run in arm.runs}
    for folder in {arm.key[0]: arm.runs[0].study for arm in arms}.values():
        left_out = [run for run in folder.runs() if run.id not in chosen]
        if any(summarise(run).state is RunState.DAMAGED for run in left_out):
            return f"A run of {folder.title} is damaged: restart it for a verdict (see Overview)."
        if left_out:
            return (
                f"Some runs of {folder.title} are left out, and whoever chose may have known them: "
                "for a verdict, choose whole studies."
            )
    return ""


def judge(
    arms: Sequence[ArmOfRuns],
    scored: pd.DataFrame,
    history: pd.DataFrame,
    question: Question,
    *,
    any_budget: bool = False,
) -> list[Judged]:
    """Every contrast of the arms; those that can be compared are one family.

    Args:
        scored: rows of `analysis.scores.score_table`.
        history: of all their runs.
        any_budget: compare arms that cost differently, too.
    """
    import pandas as pd

    finals = finals_of(finished(arms, scored), question.metric)
    known = [finals.get(arm.key, pd.Series(dtype=float)) for arm in arms]
    budgets = budgets_of(arms, history)
    judged = []
    for first, second in combinations(range(len(arms)), 2):
        one, other = arms[first], arms[second]
        costs = budgets[first], budgets[second]
        met = contrast(one.runs[0].recipe, other.runs[0].recipe, costs)
        refusal = met.refusal(one.title, other.title, any_budget=any_budget)
        pairs = pairs_of(known[first], known[second], question.metric)
        judged.append(Judged(first, second, met, pairs, refusal))
    return _decided(arms, judged, question)


def table_of(arms: Sequence[ArmOfRuns], judged: Sequence[Judged]) -> pd.DataFrame:
    """A row per contrast: first, second, differs (in words), verdict (a sentence), difference, low,
    high, won, pairs, p, p_holm; numbers are NaN where there is no verdict."""
    import pandas as pd

    rows = []
    for one in judged:
        said = one.verdict
        low, high = said.interval if said and said.interval else (math.nan, math.nan)
        row = {
            "first": arms[one.first].title,
            "second": arms[one.second].title,
            "differs": ", ".join(one.contrast.factors),
            "verdict": said.sentence if said else one.refusal,
            "difference": said.difference if said else math.nan,
            "low": low,
            "high": high,
            "won": said.won if said else math.nan,
            "pairs": len(one.pairs),
            "p": said.p if said else math.nan,
            "p_holm": one.adjusted_p,
        }
        rows.append(row)
    return pd.DataFrame(rows)


def evidence_of(one: Judged, first: ArmOfRuns, second: ArmOfRuns, question: Question) -> Pairs:
    """The pairs of a contrast, and which of them were planned."""
    gains, planned = one.pairs["gain"].to_numpy(float), question.planned or 0
    of_plan = gains[(one.pairs["seed"] <= planned).to_numpy(bool)]
    is_in = 0 < planned == len(of_plan)
    return Pairs(gains, first.title, second.title, planned, of_plan if is_in else None)


def _decided(arms: Sequence[ArmOfRuns], judged: list[Judged], question: Question) -> list[Judged]:
    comparable = [place for place, one in enumerate(judged) if not one.refusal]
    family = [
        evidence_of(judged[place], arms[judged[place].first], arms[judged[place].second], question)
        for place in comparable
    ]
    verdicts = decide_all(family, question.smallest, metric=question.metric)
    adjusted = holm(np.array([verdict.p for verdict in verdicts]))
    for place, verdict, p in zip(comparable, verdicts, adjusted, strict=True):
        judged[place] = judged[place]._replace(verdict=verdict, adjusted_p=float(p))
    return judged


def budgets_of(arms: Sequence[ArmOfRuns], history: pd.DataFrame) -> list[Budget]:
    """What a finished run of each arm costs.

    Args:
        history: of all their runs.
    """
    rows = history.groupby("run", sort=False).indices
    done = [np.concatenate([[], *(rows[run.id] for run in _done(arm))]) for arm in arms]
    return [
        budget(arm.runs[0].recipe, history.iloc[places.astype(int)])
        for arm, places in zip(arms, done, strict=True)
    ]


def _done(arm: ArmOfRuns) -> list[Run]:
    return [run for run in arm.runs if summarise(run).state is RunState.FINISHED]
