"""A study's folder: its own files, and the runs in it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from tl_engine.errors import DamagedError, StoreError
from tl_engine.runs.layout import RUN_NAME, run_name
from tl_engine.runs.run import Run
from tl_engine.runs.shapes import records_in
from tl_engine.runs.study_record import StudyRecord
from tl_engine.storage import reading
from tl_engine.study import MAXIMUM_PAIRS


class StudyFolder(StudyRecord):
    """A study in its store: the question, what people call it, and its runs.

    Which runs there are is read once, too; see `forget_runs`.
    """

    @cached_property
    def damage(self) -> str:
        """The sentence about the first of its own files that is not what was written; empty for a
        sound study."""
        try:
            records_in(self.path).read("study.json", required=True)
            _ = self.study, self.created, self._label
            self._refuse_foreign_runs()
        except StoreError as error:
            return str(error)
        return ""

    def _refuse_foreign_runs(self) -> None:
        """
        Raises:
            DamagedError: for a folder that looks like a run and is none of the study's.
        """
        expected = {path.name for path in self._run_paths}
        for name in sorted(entry.name for entry in reading.names_in(self.path)):
            if name.startswith("arm") and name not in expected:
                raise DamagedError(self.path / name, "it is none of the study's runs")

    @cached_property
    def _run_paths(self) -> list[Path]:
        """Pair by pair; those of added pairs after the planned ones."""
        planned, arms, paths = self.study.pair_numbers, range(len(self.study.arms)), []
        for pair in range(planned.start, planned.start + MAXIMUM_PAIRS):
            folders = [self.path / run_name(arm, pair) for arm in arms]
            existing = [path for path in folders if reading.exists(path)]
            if pair >= planned.stop and not existing:
                break
            paths += existing
        return paths

    def forget_runs(self) -> None:
        """Read anew which runs there are, where somebody may have added some."""
        self.__dict__.pop("_run_paths", None)

    @property
    def added_pairs(self) -> int:
        """How many pairs somebody added after the study was launched, having seen its runs."""
        last = max((run.pair for run in self.runs()), default=0)
        return max(last + 1 - self.study.pair_numbers.stop, 0)

    def runs(self) -> list[Run]:
        """Its runs, pair by pair."""
        return [Run(path, self) for path in self._run_paths]

    def runs_as_trained(self) -> list[Run]:
        """Its runs in the order in which they are trained."""
        places = {arm: place for place, arm in enumerate(self.study.tree_order())}
        return sorted(self.runs(), key=lambda run: (run.pair, places[run.arm_index]))

    def run(self, name: str) -> Run:
        """The run of that name.

        Raises:
            StoreError: where there is none.
        """
        path = self.path / name
        is_foreign = self.is_readable and path not in self._run_paths
        if not RUN_NAME.fullmatch(name) or not reading.exists(path) or is_foreign:
            existing = [run.path.name for run in self.runs()] if self.is_readable else []
            hint = f": it has {existing[0]} to {existing[-1]}" if existing else ""
            raise StoreError(f"Study {self.id} has no run {name!r:.60}{hint}.")
        return Run(path, self)


def folder_of(run: Run) -> StudyFolder:
    """The study of a run, with all its runs."""
    return run.study if isinstance(run.study, StudyFolder) else StudyFolder(run.study.path)
