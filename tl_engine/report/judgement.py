"""Judgements: what the runs of several arms allow one to say of each contrast between them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from tl_engine.analysis.budgets import Budget, budget, forward_equivalents, steps
from tl_engine.analysis.contrast import Contrast, contrast
from tl_engine.analysis.health import Health, health_of, withheld
from tl_engine.analysis.pooling import (
    Asked,
    Comparison,
    Found,
    Observed,
    comparisons_of,
    distinct,
    evidence_of,
    family_of,
    plan_of,
)
from tl_engine.analysis.score_table import finals_of, pairs_of
from tl_engine.analysis.verdict import LEAST_PAIRS, Outcome, Pairs, Verdict, decide_all, holm
from tl_engine.catalog.datasets import dataset
from tl_engine.metric import ACCURACY, METRICS, Metric
from tl_engine.recipe import Recipe
from tl_engine.report.arm_evidence import Side, facts_in_store, facts_of, with_lost
from tl_engine.runs import Run, RunState, StudyFolder, summarise
from tl_engine.runs.evidence import of_store
from tl_engine.runs.observations import arm_keys, distinct_runs, observations, recipe_id
from tl_engine.runs.study_folder import folder_of
from tl_engine.runs.summary import final_of

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


class Judged(NamedTuple):
    """A contrast with its verdict, or with why there is none.

    Attributes:
        first, second: places of the arms among those that were given.
        pairs: their scores, as `analysis.scores.pairs_of` gives them.
        refusal: why they cannot be compared, or not now; empty where they can.
        adjusted_p: the verdict's p, adjusted for the number of contrasts (Holm); NaN without one.
        found: its evidence in all studies of the store, which the pairs are; None outside a store.
        asked: what the study that is shown asked, with what was computed before; None where several
            studies are shown, or none of them asked it.
        family: comparisons among which Holm corrects.
        health: what befell the runs of both arms; None until it is asked.
    """

    first: int
    second: int
    contrast: Contrast
    pairs: pd.DataFrame
    refusal: str
    verdict: Verdict | None = None
    adjusted_p: float = float("nan")
    found: Found | None = None
    asked: Asked | None = None
    family: int = 1
    health: Health | None = None


def arms_of(runs: Sequence[Run]) -> list[RunsOfArm]:
    """The runs by arm, in the order in which they were chosen, each arm with a title of its own:
    its name, where two share it with their studies' titles, and where they share those, ids."""
    arms: dict[tuple[str, str], list[Run]] = {}
    runs = distinct_runs(runs)
    keys = arm_keys(runs)
    for run in sorted(runs, key=_place_among(runs)):
        arms.setdefault(keys[run.id], []).append(run)
    called = {key: _called(of_arm) for key, of_arm in arms.items()}
    names = Counter(called.values())
    titles = {key: of_arm[0].study.title for key, of_arm in arms.items()}
    if any(called[key] != key[1] for key in arms) and len(names) == len(called):
        return [RunsOfArm(key, called[key], of_arm) for key, of_arm in arms.items()]
    long = {key: f"{key[1]} ({titles[key]})" for key in arms}
    counts = Counter(long.values())
    made = []
    for key, of_arm in arms.items():
        title = key[1] if names[key[1]] == 1 else long[key]
        if names[key[1]] > 1 and counts[title] > 1:
            title = f"{key[1]} ({titles[key]}, {key[0]})"
        made.append(RunsOfArm(key, title, of_arm))
    return made


def _place_among(runs: Sequence[Run]) -> Callable[[Run], tuple[int, int]]:
    """Studies in the order in which they were chosen, arms as they stand in their study: whatever
    runs of them are left out."""
    studies = {one: place for place, one in enumerate(dict.fromkeys(r.study.id for r in runs))}
    return lambda run: (studies[run.study.id], run.arm_index)


def question_of(arms: Sequence[ArmOfRuns], scored: pd.DataFrame) -> Question:
    """What the arms' study asked; of several studies their metric, or accuracy where they have
    different ones, with the largest of their smallest differences that matter.

    Args:
        scored: rows of `analysis.scores.score_table`.
    """
    studies = {run.study.id: folder_of(run) for arm in arms for run in arm.runs}
    if len(studies) > 1:
        asked = [(one.study.metric, one.study.smallest_difference) for one in studies.values()]
        names = {name for name, _ in asked}
        name = names.pop() if len(names) == 1 else ACCURACY.name
        margins = [smallest for one, smallest in asked if one == name]
        smallest = max(margins, default=ACCURACY.smallest)
        return Question(None, METRICS[name], smallest, False)
    (folder,) = studies.values()
    metric = METRICS[folder.study.metric]
    done = finished(arms, scored).groupby("arm")["seed"].nunique()
    pairs = int(done.min()) if len(done) == len(arms) else 0
    smallest = folder.study.smallest_difference
    return Question(folder, metric, smallest, is_planned(arms, pairs))


def is_planned(arms: Sequence[ArmOfRuns], pairs: int) -> bool:
    """Whether so many pairs of the arms are all that their study was launched with, none was added
    or computed before, and no earlier study had asked: only then was their number fixed before
    anybody looked."""
    folder = folder_of(arms[0].runs[0])
    runs = [run for arm in arms for run in arm.runs]
    alone = all(run.study.id == folder.id for run in runs)
    seen = any(run.recipe_record.get("computed_before") for run in runs)
    if not alone or seen or pairs != folder.study.pairs or folder.added_pairs:
        return False
    return pairs < LEAST_PAIRS or _asked_first(arms, folder)


def _asked_first(arms: Sequence[ArmOfRuns], folder: StudyFolder) -> bool:
    """Whether the planned analysis of every comparison of the arms is that of this study."""
    recipes = {recipe_id(arm.runs[0].recipe) for arm in arms}
    known = of_store(folder.path.parent)
    asked = [known.with_seen(one) for one in known.questions() if len(recipes & {*one.recipes}) > 1]
    numbers = tuple(folder.study.pair_numbers)
    return all(
        plan_of(comparison, asked, folder.study.metric) == numbers
        for comparison in comparisons_of(recipes)
    )


def finished(arms: Sequence[ArmOfRuns], scored: pd.DataFrame) -> pd.DataFrame:
    """Scores of the arms' finished runs: a run on its way has no final score."""
    done = [run.id for arm in arms for run in _done(arm)]
    return scored[scored["run"].isin(done)].dropna(subset="final")


def why_none(arm: ArmOfRuns) -> str:
    """Why nothing can be said of an arm; empty where something can: runs of it are damaged, or
    left out by whoever chose."""
    chosen = set(observations(arm.runs).values())
    names = {(run.study.id, run.arm) for run in arm.runs}
    for folder in {run.study.id: folder_of(run) for run in arm.runs}.values():
        ours = [run for run in folder.runs() if (folder.id, run.arm) in names]
        known = observations(ours)
        left_out = [run for run in ours if known[run.id] not in chosen]
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
    budgets = budgets_of(arms, history)
    pooled = Pool(arms, question.metric, any_budget)
    finals = finals_of(finished(arms, scored), question.metric)
    missing = [why_none(arm) for arm in arms]
    judged = []
    for first, second in combinations(range(len(arms)), 2):
        one, other = arms[first], arms[second]
        costs = budgets[first], budgets[second]
        met = contrast(one.runs[0].recipe, other.runs[0].recipe, costs)
        refusal = met.refusal(one.title, other.title, any_budget=any_budget)
        refusal = refusal or missing[first] or missing[second]
        ids = pooled.ids[first], pooled.ids[second]
        found = pooled.found(*ids) if ids[0] != ids[1] else None  # two arms of one recipe
        pairs = (
            _frame(found, question.metric) if found else _own_pairs(one, other, finals, question)
        )
        asked = pooled.question(question.study, pooled.ids[first], pooled.ids[second])
        one_judged = Judged(first, second, met, pairs, refusal)
        judged.append(one_judged._replace(found=found, asked=asked))
    return _decided(arms, judged, question, pooled, finals)


def table_of(arms: Sequence[ArmOfRuns], judged: Sequence[Judged]) -> pd.DataFrame:
    """A row per contrast: first, second, differs (in words), verdict (a sentence), difference, low,
    high, won, pairs, p, p_holm, studies (in which they stand), health (fine, notice or problem),
    health_says; numbers are NaN where there is no verdict."""
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
            "studies": len(one.found.studies) if one.found else 1,
            "health": one.health.level.value if one.health else "",
            "health_says": one.health.words if one.health else "",
        }
        rows.append(row)
    return pd.DataFrame(rows)


class Pool:
    """The evidence of some arms in all studies of their store."""

    def __init__(self, arms: Sequence[ArmOfRuns], metric: Metric, any_budget: bool) -> None:
        self._metric, self._any_budget = metric, any_budget
        self._evidence = of_store(arms[0].runs[0].study.path.parent)
        self._recipes = self._evidence.recipes()
        self.ids = [recipe_id(arm.runs[0].recipe) for arm in arms]
        # A study that is shown may have been deleted a moment ago.
        self._recipes |= dict(zip(self.ids, (arm.runs[0].recipe for arm in arms), strict=True))
        shown = comparisons_of(self.ids)
        asked = self._evidence.questions()
        self.family = family_of(shown, asked, self._is_comparable)
        ours = shown | self.family
        together = {one for each in ours for one in each}
        self._asked = [
            self._evidence.with_seen(one) for one in asked if len(together & set(one.recipes)) > 1
        ]
        self._observed = self._evidence.observed(together, metric.name)
        self._data = _data_of(arms)
        self._sides: dict[tuple[str, str, str], Side] = {}
        other = [one.metric for one in self._asked if one.metric != metric.name]
        self.others = len(self.family) * len(set(other))

    @property
    def is_damaged(self) -> bool:
        """Whether the ledger of deleted studies is damaged."""
        return self._evidence.is_damaged

    def found(self, first: str, second: str) -> Found:
        """The evidence of a comparison of two different recipes."""
        data = self._data_of(first, second)
        observed = [one for one in self._observed if one.data == data]
        return evidence_of(first, second, self._asked, observed, self._metric.name)

    def comparison(self, one: Judged) -> Comparison:
        """Its two recipes."""
        return frozenset((self.ids[one.first], self.ids[one.second]))

    def hidden(self, shown: set[Comparison]) -> list[tuple[str, str]]:
        """The comparisons of the family that are not shown."""
        return [(one[0], one[-1]) for one in sorted(map(sorted, self.family - shown))]

    def sides(
        self, first: str, second: str, arms: tuple[ArmOfRuns, ArmOfRuns] | None = None
    ) -> tuple[Side, Side]:
        """Both recipes of a comparison as evidence.

        Args:
            arms: the arms that have them, where they are shown.
        """
        data = self._data_of(first, second)
        titles = [arm.title for arm in arms] if arms else ["", ""]
        one, other = (self._side(*two, data) for two in zip(titles, (first, second), strict=True))
        return one, other

    def _side(self, title: str, recipe: str, data: str) -> Side:
        known = self._sides.get((title, recipe, data))
        if known is None:
            ours = (one for one in self._observed if (one.recipe, one.data) == (recipe, data))
            scores = {one.pair: one.score for one in distinct(ours).values()}
            facts = facts_in_store(title, recipe, self._evidence, data)
            classes = len(dataset(self._recipes[recipe].dataset).class_names)
            known = self._sides[title, recipe, data] = Side(facts, scores, classes)
        return known

    def _data_of(self, first: str, second: str) -> str:
        """Fingerprint of the images on which two recipes are compared: those of the shown runs, if
        they have any."""
        known = {one.data for one in self._observed if one.recipe in (first, second)}
        return self._data if self._data in known else max(known, default="")

    def question(self, study: StudyFolder | None, first: str, second: str) -> Asked | None:
        """What the study asked of two recipes."""
        both = frozenset((first, second))
        ours = (one for one in self._asked if study and one.study == study.id)
        return next((one for one in ours if one.asks(both)), None)

    def _is_comparable(self, comparison: Comparison) -> bool:
        one, other = (self._recipes.get(each) for each in sorted(comparison))
        return one is None or other is None or _are_comparable(one, other, self._any_budget)


@lru_cache(maxsize=10_000)
def _are_comparable(one: Recipe, other: Recipe, any_budget: bool) -> bool:
    costs = [Budget(steps(each), forward_equivalents(each), math.nan) for each in (one, other)]
    return not contrast(one, other, (costs[0], costs[1])).refusal("", "", any_budget=any_budget)


def _data_of(arms: Sequence[ArmOfRuns]) -> str:
    known = (final_of(run) for arm in arms for run in arm.runs)
    return next((one.data for one in known if one), "")


def _frame(found: Found, metric: Metric) -> pd.DataFrame:
    """A comparison's pairs as `analysis.scores.pairs_of` gives them, as they were computed."""
    import pandas as pd

    seeds = [one.pair for one, _ in found.pairs]
    first, second = (np.array([two[n].score for two in found.pairs], float) for n in (0, 1))
    gain = metric.sign * (first - second)
    return pd.DataFrame({"seed": seeds, "first": first, "second": second, "gain": gain})


def _own_pairs(
    one: ArmOfRuns, other: ArmOfRuns, finals: Finals, question: Question
) -> pd.DataFrame:
    """The pairs of two arms as they were chosen, without those of other studies."""
    import pandas as pd

    none = pd.Series(dtype=float)
    return pairs_of(finals.get(one.key, none), finals.get(other.key, none), question.metric)


def _pairs(found: Found, first: str, second: str, metric: Metric) -> Pairs:
    def gains(pairs: list[tuple[Observed, Observed]]) -> np.ndarray:
        return np.array([metric.sign * (one.score - two.score) for one, two in pairs], float)

    plan = None if found.plan is None else gains(found.plan)
    return Pairs(gains(found.pairs), first, second, found.planned, plan)


def pairs_in(one: Judged, first: str, second: str, question: Question) -> Pairs:
    """The evidence of a contrast as its verdict takes it.

    Args:
        first, second: what the arms are called.
    """
    if one.found is not None:
        return _pairs(one.found, first, second, question.metric)
    gains, planned = one.pairs["gain"].to_numpy(float), question.planned or 0
    return Pairs(gains, first, second, planned, gains if len(gains) == planned else None)


Finals = Mapping[tuple[str, str], "pd.Series"]


def _decided(
    arms: Sequence[ArmOfRuns],
    judged: list[Judged],
    question: Question,
    pooled: Pool,
    finals: Finals,
) -> list[Judged]:
    """The verdicts; each comparison of the family is decided with its own evidence, shown or not,
    so that a verdict is the same wherever it stands. A verdict that lost runs, counted at chance,
    would change is withheld: the whole family is decided again with them, at its own levels."""
    metric = question.metric
    comparable = [place for place, one in enumerate(judged) if not one.refusal]
    sides = [_sides(one, arms, pooled, finals) for one in judged]
    shown = [
        pairs_in(one, arms[one.first].title, arms[one.second].title, question)
        for one in (judged[place] for place in comparable)
    ]
    hidden = pooled.hidden({pooled.comparison(judged[place]) for place in comparable})
    unseen = [_pairs(pooled.found(one, other), one, other, metric) for one, other in hidden]
    at_chance = [
        with_lost(pairs, *two, metric)
        for pairs, two in zip(
            (*shown, *unseen),
            (*(sides[place] for place in comparable), *(pooled.sides(*two) for two in hidden)),
            strict=True,
        )
    ]
    verdicts, adjusted = _decide([*shown, *unseen], pooled.others, question)
    lost = any(one is not other for one, other in zip(at_chance, [*shown, *unseen], strict=True))
    again = _decide(at_chance, pooled.others, question)[0] if lost else verdicts
    judged = [one._replace(health=_health_of(*two)) for one, two in zip(judged, sides, strict=True)]
    of_all = len(verdicts) + pooled.others
    for number, place in enumerate(comparable):
        one, verdict, p = judged[place], verdicts[number], adjusted[number]
        is_counted = len(at_chance[number].differences) > len(shown[number].differences)
        if one.health:
            verdict, health = withheld(verdict, again[number], one.health, is_counted=is_counted)
            one = one._replace(health=health)
        p = math.nan if verdict.outcome is Outcome.WITHHELD else p
        judged[place] = one._replace(verdict=verdict, adjusted_p=p, family=of_all)
    return judged


def _decide(
    family: list[Pairs], others: int, question: Question
) -> tuple[list[Verdict], list[float]]:
    """The verdicts on all comparisons of a family, and their p, adjusted.

    Args:
        others: comparisons of the family that are decided by another metric.
    """
    # Those of too few pairs will be looked at later, at what is left of the level.
    others += sum(len(one.differences) < LEAST_PAIRS for one in family)
    verdicts = decide_all(family, question.smallest, metric=question.metric, others=others)
    adjusted = holm(np.array([*(verdict.p for verdict in verdicts), *[1.0] * others]))
    return verdicts, [float(p) for p in adjusted]


def _sides(
    one: Judged, arms: Sequence[ArmOfRuns], pooled: Pool, finals: Finals
) -> tuple[Side, Side]:
    """Both arms as evidence: in the whole store, or, where they are one recipe, in their study."""
    two = arms[one.first], arms[one.second]
    if one.found is not None:
        return pooled.sides(pooled.ids[one.first], pooled.ids[one.second], two)
    first, second = (_own_side(arm, finals) for arm in two)
    return first, second


def _own_side(arm: ArmOfRuns, finals: Finals) -> Side:
    known = finals.get(arm.key)
    scores = {} if known is None else dict(zip(known.index.astype(int), known, strict=True))
    recipe = arm.runs[0].recipe
    return Side(facts_of(arm.title, arm.runs), scores, len(dataset(recipe.dataset).class_names))


def _health_of(first: Side, second: Side) -> Health | None:
    """What befell the runs of the pairs that both arms have; of all where they have none."""
    both = first.facts.keys() & second.facts.keys() or first.facts.keys() | second.facts.keys()
    runs = [side.facts[n] for side in (first, second) for n in sorted(both & side.facts.keys())]
    return health_of(runs) if runs else None


def _called(runs: Sequence[Run]) -> str:
    """An arm's name; where studies call the same recipe differently, all of its names."""
    names = list(dict.fromkeys(run.arm for run in runs))
    return names[0] if len(names) == 1 else " / ".join(names)


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
