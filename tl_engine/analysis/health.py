"""The health check of a contrast: what befell its runs, beside what those that finished scored.

A run that failed is an outcome of its arm: see `lost_runs` for what it does to a verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import chain
from typing import Any, NamedTuple

from tl_engine.text import counted

FINISHED, FAILED, STOPPED = "finished", "failed", "stopped"
DAMAGED, MISSING, COMING = "damaged", "missing", "still coming"
LOST = {FAILED: "failed", STOPPED: "were stopped", DAMAGED: "are damaged", MISSING: "are missing"}
"""States of runs that will give no score unless somebody acts, in words."""
MACHINE = ("system", "processor", "cores", "device", "threads")
"""What decides the bits of arithmetic, besides versions."""
IMAGES = "fingerprint"
MOST_REASONS = 3


class Level(StrEnum):
    """How bad it is, the worst first."""

    PROBLEM = "problem"
    NOTICE = "notice"
    FINE = "fine"


class Finding(NamedTuple):
    """One thing that somebody should know."""

    level: Level
    sentence: str


class Health(NamedTuple):
    """What befell the runs of a contrast, problems first; `lost` are sentences about runs that are
    counted at chance."""

    findings: tuple[Finding, ...]
    lost: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        """That of the worst finding."""
        return self.findings[0].level

    @property
    def words(self) -> str:
        """All sentences, one after another."""
        return " ".join(finding.sentence for finding in self.findings)

    def with_finding(self, level: Level, sentence: str) -> Health:
        """The same with one finding more, among those of its level."""
        return self._replace(findings=_ordered([*self.findings, Finding(level, sentence)]))


class RunFacts(NamedTuple):
    """A run as the health check sees it: its arm's title; its state, FINISHED, one of LOST or any
    other, still on its way; how it ended; machine, device, threads and data fingerprint as its
    processes met them; versions by library."""

    arm: str
    pair: int
    state: str
    sentence: str = ""
    met: tuple[Mapping[str, Any], ...] = ()
    versions: Mapping[str, Any] = {}


def health_of(runs: Sequence[RunFacts]) -> Health:
    """The health check of the runs of two arms, at least one run."""
    by_arm: dict[str, list[RunFacts]] = {}
    for run in runs:
        by_arm.setdefault(run.arm, []).append(run)
    lost = tuple(chain.from_iterable(map(_lost, by_arm.values())))
    findings = [
        *(Finding(Level.PROBLEM, f"{sentence}.") for sentence in lost),
        *_coming(runs),
        *_machines(runs),
        *chain.from_iterable(map(_records, by_arm.values())),
    ]
    fine = Finding(Level.FINE, f"All {len(runs)} runs finished, on one machine.")
    return Health(_ordered(findings or [fine]), lost)


def _ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: list(Level).index(finding.level)))


def _lost(runs: Sequence[RunFacts]) -> Iterator[str]:
    """Sentences, without their full stop, about the lost runs of one arm."""
    for state, words in LOST.items():
        lost = [run for run in runs if run.state == state]
        if not lost:
            continue
        verb = words.replace("were", "was").replace("are", "is") if len(lost) == 1 else words
        reasons = _reasons(lost) if state == FAILED else ""
        yield f"{len(lost)} of {len(runs)} runs of {runs[0].arm} {verb}{reasons}"


def _reasons(runs: Sequence[RunFacts]) -> str:
    """The distinct reasons, the most frequent first, with their counts."""
    counts = Counter(run.sentence.rstrip(".") for run in runs if run.sentence)
    words = [f"{why}, {n} times" if n > 1 else why for why, n in counts.most_common()]
    if len(words) > MOST_REASONS:
        words[MOST_REASONS:] = [f"{len(words) - MOST_REASONS} more reasons"]
    return f" ({'; '.join(words)})" if words else ""


def _coming(runs: Sequence[RunFacts]) -> Iterator[Finding]:
    if coming := sum(run.state not in (FINISHED, *LOST) for run in runs):
        sentence = f"{counted(coming, 'run')} {'is' if coming == 1 else 'are'} still coming."
        yield Finding(Level.NOTICE, sentence)


def _machines(runs: Sequence[RunFacts]) -> Iterator[Finding]:
    """Where finished runs were computed under different circumstances."""
    done = [run for run in runs if run.state == FINISHED and run.met]
    libraries = set[str]().union(*(run.versions for run in done))
    for name in (IMAGES, *MACHINE, *sorted(libraries)):
        yield from _differences(done, name)


def _differences(runs: Sequence[RunFacts], name: str) -> Iterator[Finding]:
    """Where these runs met different values of one circumstance."""
    by_pair: dict[int, list[str]] = {}
    for run in runs:
        by_pair.setdefault(run.pair, []).append(_value(run, name))
    distinct = sorted({*chain.from_iterable(by_pair.values())} - {""})
    if len(distinct) > 1:
        listed = f"{', '.join(distinct[:-1])} and {distinct[-1]}"
        whole = [values for values in by_pair.values() if len(values) > 1]
        mixed = sum(len({*values} - {""}) > 1 for values in whole)
        yield _difference(name, listed, mixed, len(whole))


def _difference(name: str, listed: str, mixed: int, whole: int) -> Finding:
    """What the listed values of a circumstance mean, where `mixed` of the whole pairs have two."""
    if name == IMAGES:
        return Finding(
            Level.PROBLEM,
            f"Runs were computed on other images (fingerprints {listed}): only pairs on the "
            "same images are compared, the others are left out.",
        )
    if mixed:
        return Finding(
            Level.PROBLEM,
            f"In {mixed} of {whole} pairs the two runs differ in {name} ({listed}): "
            "their difference is not the recipe's alone.",
        )
    return Finding(
        Level.NOTICE,
        f"Pairs were computed with several values of {name} ({listed}), the same for "
        "both arms of each pair.",
    )


def _value(run: RunFacts, name: str) -> str:
    """What the run's last process met, in words; empty where it is not recorded."""
    value = run.met[-1].get(name, run.versions.get(name))
    words = "" if value is None else str(value)
    return words[:12] if name == IMAGES else words[:60]


def _records(runs: Sequence[RunFacts]) -> Iterator[Finding]:
    """Of one arm: finished runs that went on elsewhere, and those of which nobody knows where."""
    done, arm = [run for run in runs if run.state == FINISHED], runs[0].arm
    if moved := sum(len(run.met) > 1 for run in done):
        yield Finding(
            Level.NOTICE,
            f"{counted(moved, 'run')} of {arm} went on under other versions or on another "
            "machine: not bit-comparable.",
        )
    if unknown := sum(not run.met for run in done):
        of_runs = counted(unknown, "run")
        yield Finding(Level.NOTICE, f"Of {of_runs} of {arm} nothing is recorded of the machine.")
