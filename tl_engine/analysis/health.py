"""The health check of a contrast: what befell its runs, beside what those that finished scored.

A run that failed is an outcome of its arm. Without it the survivors decide, so it is counted at
chance, and a verdict that this changes is withheld.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

from tl_engine.analysis.rule import AT_END
from tl_engine.analysis.verdict import Outcome, Verdict
from tl_engine.metric import Metric

FINISHED, FAILED, STOPPED = "finished", "failed", "stopped"
DAMAGED, MISSING, COMING = "damaged", "missing", "still coming"
LOST = {
    FAILED: "failed",
    STOPPED: "were stopped",
    DAMAGED: "are damaged",
    MISSING: "are missing",
}
"""States of runs that will give no score unless somebody acts, in words."""
MACHINE = ("system", "processor", "cores", "device", "threads")
"""What decides the bits of arithmetic, besides versions."""
IMAGES = "fingerprint"
MOST_REASONS = 3


class Level(StrEnum):
    """How bad it is."""

    FINE = "fine"
    NOTICE = "notice"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """One thing that somebody should know."""

    level: Level
    sentence: str


class Health(NamedTuple):
    """What befell the runs of a contrast, problems first.

    Attributes:
        lost: the sentences about runs that are counted at chance.
    """

    findings: tuple[Finding, ...]
    lost: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        """That of the worst finding."""
        return self.findings[0].level

    @property
    def words(self) -> str:
        """All sentences, one after another."""
        return " ".join(found.sentence for found in self.findings)

    def with_finding(self, level: Level, sentence: str) -> Health:
        """The same with one finding more, among those of its level."""
        return self._replace(findings=_ordered([*self.findings, Finding(level, sentence)]))


class RunFacts(NamedTuple):
    """A run as the health check sees it.

    Attributes:
        arm: its arm's title.
        state: one of FINISHED, FAILED, STOPPED, DAMAGED, MISSING; all others are on their way.
        sentence: how it ended.
        met: machine, device, threads and data fingerprint, as its processes met them.
        versions: by library.
    """

    arm: str
    pair: int
    state: str
    sentence: str = ""
    met: tuple[Mapping[str, Any], ...] = ()
    versions: Mapping[str, Any] = {}


def health_of(runs: Sequence[RunFacts]) -> Health:
    """What there is to say of the runs of two arms, at least one run."""
    arms = list(dict.fromkeys(run.arm for run in runs))
    by_arm = [[run for run in runs if run.arm == arm] for arm in arms]
    lost = tuple(sentence for of_arm in by_arm for sentence in _lost(of_arm))
    findings = [Finding(Level.PROBLEM, f"{sentence}.") for sentence in lost]
    coming = sum(run.state != FINISHED and run.state not in LOST for run in runs)
    if coming:
        is_one = coming == 1
        sentence = f"{coming} run{' is' if is_one else 's are'} still coming."
        findings.append(Finding(Level.NOTICE, sentence))
    findings += _machines(runs)
    for of_arm in by_arm:
        findings += _records(of_arm)
    if not findings:
        sentence = f"All {len(runs)} runs finished, on one machine."
        findings = [Finding(Level.FINE, sentence)]
    return Health(_ordered(findings), lost)


def chance_score(metric: Metric, classes: int) -> float:
    """What a guess among the classes scores: 1 / classes, or a loss of ln(classes)."""
    return math.log(classes) if metric.name == "val_loss" else 1 / classes


def counted_at_chance(
    first: Mapping[int, float],
    second: Mapping[int, float],
    states: tuple[Mapping[int, str], Mapping[int, str]],
    chance: tuple[float, float],
    sign: int,
) -> np.ndarray:
    """Gains (n,) of the first arm, lost runs at chance, in order of the pairs.

    A pair in which one run finished and the other was lost counts; so does one in which both
    failed, as no difference. A pair that was stopped, damaged or deleted in both arms says nothing
    of either, and a run that is still coming has no score yet.

    Args:
        first, second: scores of the finished runs by pair.
        states: of every run by pair, of each arm.
        chance: the score of a guess, of each arm.
        sign: 1 where a higher score is better, -1 where a lower one is.
    """
    gains = []
    for pair in sorted(states[0].keys() & states[1].keys()):
        here = states[0][pair], states[1][pair]
        scores = [
            known.get(pair, guess if state in LOST else math.nan)
            for known, guess, state in zip((first, second), chance, here, strict=True)
        ]
        is_told = pair in first or pair in second or FAILED in here
        if is_told and not any(map(math.isnan, scores)):
            gains.append(sign * (scores[0] - scores[1]))
    return np.array(gains, float)


def withheld(
    verdict: Verdict, counted: Verdict, health: Health, *, is_counted: bool
) -> tuple[Verdict, Health]:
    """The verdict, or none where lost runs, counted at chance, would change what is said.

    Args:
        verdict: of the pairs that finished.
        counted: with lost runs at chance, in all comparisons of the family.
        is_counted: whether pairs of this comparison were added; else only its share of the error
            may have changed.
    """
    if verdict.outcome is Outcome.LOOK:
        return verdict, health
    less = _rests_on_less(verdict, counted)
    if _claim(verdict) == _claim(counted) and not less:
        if not health.lost:
            return verdict, health
        same = "The verdict is the same with them counted at chance."
        none = "None is counted: the other runs of their pairs say nothing, or are still coming."
        return verdict, health.with_finding(Level.PROBLEM, same if is_counted else none)
    lost = health.lost if is_counted else ("runs of other comparisons of the family were lost",)
    says = counted.sentence
    if less:
        says = f"the {counted.pairs} planned pairs alone decide. {says}"
    sentence = (
        f"Withheld: {'; '.join(lost)}. Without them: {verdict.sentence} Counted at chance: {says}"
    )
    nothing = verdict._replace(interval=None, p=math.nan, more_pairs=None)
    return nothing._replace(outcome=Outcome.WITHHELD, sentence=sentence), health


def _claim(verdict: Verdict) -> tuple[Outcome, bool]:
    """What is said, and of which arm."""
    names_one = verdict.outcome in (Outcome.BETTER, Outcome.SMALL)
    return verdict.outcome, names_one and verdict.difference < 0


def _rests_on_less(verdict: Verdict, counted: Verdict) -> bool:
    """Whether only the planned pairs, of which none was lost, still show what all pairs did."""
    at_end = counted.procedure in AT_END and verdict.procedure not in AT_END
    return at_end and counted.pairs < verdict.pairs


def _ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    worst = [Level.PROBLEM, Level.NOTICE, Level.FINE]
    return tuple(sorted(findings, key=lambda found: worst.index(found.level)))


def _lost(runs: Sequence[RunFacts]) -> Iterator[str]:
    """Sentences, without their full stop, about the lost runs of one arm."""
    for state, words in LOST.items():
        ours = [run for run in runs if run.state == state]
        if not ours:
            continue
        verb = words.replace("were", "was").replace("are", "is") if len(ours) == 1 else words
        reasons = _reasons(ours) if state == FAILED else ""
        yield f"{len(ours)} of {len(runs)} runs of {runs[0].arm} {verb}{reasons}"


def _reasons(runs: Sequence[RunFacts]) -> str:
    """The distinct reasons, the most frequent first, with their counts."""
    counts = Counter(run.sentence.rstrip(".") for run in runs if run.sentence)
    words = [f"{said}, {n} times" if n > 1 else said for said, n in counts.most_common()]
    if len(words) > MOST_REASONS:
        words[MOST_REASONS:] = [f"{len(words) - MOST_REASONS} more reasons"]
    return f" ({'; '.join(words)})" if words else ""


def _machines(runs: Sequence[RunFacts]) -> Iterator[Finding]:
    """Where finished runs were computed under different circumstances."""
    done = [run for run in runs if run.state == FINISHED and run.met]
    for name in _names(done):
        values = {(run.arm, run.pair): _value(run, name) for run in done}
        known = sorted({value for value in values.values() if value})
        if len(known) < 2:
            continue
        by_pair: dict[int, list[str]] = {}
        for (_, pair), value in values.items():
            by_pair.setdefault(pair, []).append(value)
        whole = [theirs for theirs in by_pair.values() if len(theirs) > 1]
        mixed = sum(len({value for value in theirs if value}) > 1 for theirs in whole)
        title = "images (fingerprint)" if name == IMAGES else name
        listed = f"{', '.join(known[:-1])} and {known[-1]}"
        if name == IMAGES:
            yield Finding(
                Level.PROBLEM,
                f"Runs were computed on other images (fingerprints {listed}): only pairs on the "
                "same images are compared, the others are left out.",
            )
        elif mixed:
            yield Finding(
                Level.PROBLEM,
                f"In {mixed} of {len(whole)} pairs the two runs differ in {title} ({listed}): "
                "their difference is not the recipe's alone.",
            )
        else:
            yield Finding(
                Level.NOTICE,
                f"Pairs were computed with several values of {title} ({listed}), the same for "
                "both arms of each pair.",
            )


def _names(runs: Sequence[RunFacts]) -> list[str]:
    libraries = sorted({name for run in runs for name in run.versions})
    return [IMAGES, *MACHINE, *libraries]


def _value(run: RunFacts, name: str) -> str:
    """What the run's last process met, in words; empty where it is not recorded."""
    value = run.met[-1].get(name, run.versions.get(name))
    words = "" if value is None else str(value)
    return words[:12] if name == IMAGES else words[:60]


def _records(runs: Sequence[RunFacts]) -> Iterator[Finding]:
    """Of one arm: finished runs that went on elsewhere, and those of which nobody knows where."""
    done, arm = [run for run in runs if run.state == FINISHED], runs[0].arm
    moved = sum(len(run.met) > 1 for run in done)
    if moved:
        counted = "1 run" if moved == 1 else f"{moved} runs"
        yield Finding(
            Level.NOTICE,
            f"{counted} of {arm} went on under other versions or on another machine: not "
            "bit-comparable.",
        )
    unknown = sum(not run.met for run in done)
    if unknown:
        counted = "1 run" if unknown == 1 else f"{unknown} runs"
        yield Finding(Level.NOTICE, f"Of {counted} of {arm} nothing is recorded of the machine.")
