"""One study's folder: what was asked, what people call it, and its runs."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from tl_engine.errors import RECIPE_ERRORS, DamagedError, StoreError, shown
from tl_engine.runs import evidence
from tl_engine.runs.run import QUARANTINE, Run
from tl_engine.runs.test_access import TestSetAccess
from tl_engine.storage import atomic, record_files
from tl_engine.storage.lease import hold, lease_of
from tl_engine.storage.record_files import Records
from tl_engine.study import MAXIMUM_NAME, MAXIMUM_PAIRS, Seeds, Study
from tl_engine.text import lines

MAXIMUM_NOTE = 5000
RUN_NAME = re.compile(r"arm[0-9]{1,9}-pair[0-9]{1,9}")


class StudyFolder:
    """A study in its store: what was asked, what people call it, and its runs.

    Reads each of its own files once; ask the store again to see what others wrote since.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = shown(path.name)

    @cached_property
    def _asked(self) -> dict[str, Any]:
        """What study.json says; where it is damaged, what the runs of its first pair say."""
        try:
            return record_files.read_json(self.path / "study.json", required=True, checked=False)
        except DamagedError:
            for path in sorted(Path(entry.path) for entry in record_files.names_in(self.path)):
                with contextlib.suppress(StoreError, KeyError):
                    asked = record_files.read_json(path / "recipe.json", checked=False)
                    shared = {name: asked[name] for name in ("format", "threads", "versions")}
                    return {**shared, "id": asked.get("study", ""), **asked["of"]}
            raise

    @property
    def format(self) -> int:
        """Of its study.json."""
        return self._asked.get("format", 1)

    @property
    def written_id(self) -> str:
        """The id that it was made with, which a copy in another folder has, too; empty before
        format 3."""
        return self._asked.get("id", "")

    def recipe_as_written(self, arm: int) -> dict[str, Any]:
        """What study.json says of an arm's recipe."""
        return self._asked["study"]["arms"][arm]["recipe"]

    def asked_of(self, arm: int, pair: int) -> dict[str, Any]:
        """What a run is asked whose recipe.json is missing, as `fill_run` writes it.

        Raises:
            DamagedError: where neither study.json nor another run says its threads.
        """
        told: dict[str, Any] | None = self._asked
        if "threads" not in self._asked:
            beside = [run for run in self.runs() if record_files.is_there(run.path / "recipe.json")]
            told = next((run.asked for run in beside), None)
        if told is None:
            raise DamagedError(self.path / run_name(arm, pair) / "recipe.json", "it is missing")
        return {
            "format": self.format,
            "study": self.written_id,
            "recipe": self.recipe_as_written(arm),
            "arm": self.study.arms[arm].name,
            "pair": pair,
            "seeds": Seeds.of_pair(pair)._asdict(),
            **{name: told[name] for name in ("threads", "versions")},
        }

    @property
    def is_readable(self) -> bool:
        """Whether what was asked can be understood."""
        try:
            _ = self.study, self.created
        except StoreError:
            return False
        return True

    @cached_property
    def damage(self) -> str:
        """The sentence about the first of its own files that is not what was written."""
        try:
            record_files.read_json(self.path / "study.json", required=True, checked=False)
            _ = self.study, self.created, self._label
            self._refuse_foreign()
        except StoreError as error:
            return str(error)
        return ""

    def _refuse_foreign(self) -> None:
        """
        Raises:
            DamagedError: for what looks like a run and is none of the study's.
        """
        ours = {path.name for path in self._run_paths}
        for name in sorted(entry.name for entry in record_files.names_in(self.path)):
            if name.startswith("arm") and name not in ours:
                raise DamagedError(self.path / name, "it is none of the study's runs")

    @cached_property
    def study(self) -> Study:
        """What was asked.

        Raises:
            StoreError: where study.json cannot be read.
        """
        try:
            return Study.from_dict(self._asked["study"])
        except RECIPE_ERRORS as error:
            raise StoreError(f"Study {self.id} cannot be read: {error}") from error

    @property
    def created(self) -> datetime:
        """When it was launched, in local time with its zone.

        Raises:
            StoreError: where study.json cannot be read.
        """
        try:
            return datetime.fromisoformat(self._asked["created"])
        except ValueError as error:
            raise DamagedError(self.path / "study.json", f"created: {error}") from error

    @property
    def title(self) -> str:
        """What people call it now."""
        return self._label_or_none.get("title", self.study.title)

    @property
    def note(self) -> str:
        """What people wrote about it."""
        return self._label_or_none.get("note", "")

    def label(self, title: str | None = None, note: str | None = None) -> None:
        """Rename it or change its note; None leaves either as it is. A damaged label is set
        aside in quarantine/, not written over.

        Raises:
            StoreError: for a title or note that is too long, or an empty title.
        """
        title, note = self.title if title is None else title.strip(), note
        if not 1 <= (seen := len(lines(title).strip())) <= MAXIMUM_NAME:
            raise StoreError(f"A title has 1 to {MAXIMUM_NAME} characters, got {seen}.")
        note = self.note if note is None else note
        if len(note) > MAXIMUM_NOTE:
            raise StoreError(f"A note has at most {MAXIMUM_NOTE:,} characters, got {len(note):,}.")
        path = self.path / "label.json"
        try:
            _ = self._label
        except StoreError:
            atomic.set_aside(path, self.path / QUARANTINE)
        self._records.write(path.name, {"title": title, "note": note})
        self.__dict__.pop("_label", None)

    @cached_property
    def _run_paths(self) -> list[Path]:
        """Pair by pair; those that were added after the planned ones."""
        planned, arms, paths = self.study.pair_numbers, range(len(self.study.arms)), []
        for pair in range(planned.start, planned.start + MAXIMUM_PAIRS):
            there = [self.path / run_name(arm, pair) for arm in arms]
            there = [path for path in there if record_files.is_there(path)]
            if pair >= planned.stop and not there:
                break
            paths += there
        return paths

    @property
    def added_pairs(self) -> int:
        """How many pairs somebody added after the study was launched, having seen its runs."""
        last = max((run.pair for run in self.runs()), default=0)
        return max(last + 1 - self.study.pair_numbers.stop, 0)

    def add_pairs(self, count: int) -> list[Run]:
        """Queue further pairs of every arm, with the same threads as the planned ones; a pair that
        somebody who died began to add is completed first.

        Raises:
            StoreError: for fewer than 1, or more than a study may have in all; where somebody else
                adds some right now.
        """
        with hold(lease_of(self.path / "pairs.lock")) as holding:
            if not holding:
                raise StoreError(f"Somebody is adding pairs to {self.title} right now.")
            self.__dict__.pop("_run_paths", None)  # others may have added some since
            there = self.study.pairs + self.added_pairs
            if not 1 <= count <= MAXIMUM_PAIRS - there:
                raise StoreError(
                    f"A study has at most {MAXIMUM_PAIRS} pairs: this one has {there}, asked for "
                    f"{count} more."
                )
            first, planned = self.study.first_pair, self.study.pair_numbers
            self._publish(range(planned.stop, first + there + count))
        self.__dict__.pop("_run_paths", None)
        return [run for run in self.runs() if run.pair >= first + there]

    def _publish(self, pairs: range) -> None:
        """Write the runs of these pairs that are not there yet."""
        shared = {name: self.runs()[0].asked[name] for name in ("threads", "versions")}
        shared["study"] = self.written_id
        seen = evidence.of_store(self.path.parent)
        before = seen.seen_runs(replace(self.study, first_pair=pairs.start, pairs=len(pairs)))
        for pair in pairs:
            for arm in range(len(self.study.arms)):
                path = self.path / run_name(arm, pair)
                if not path.exists():
                    place = (evidence.recipe_id(self.study.arms[arm].recipe), pair)
                    facts = {
                        **shared,
                        "added": record_files.now(),
                        "computed_before": place in before,
                    }
                    fill = partial(fill_run, study=self.study, arm=arm, pair=pair, more=facts)
                    atomic.publish_folder(path, fill)

    @cached_property
    def _label(self) -> dict[str, Any]:
        return self._records.read("label.json")

    @property
    def _records(self) -> Records:
        return Records(self.path, self.written_id, checked="format" in self._asked)

    @property
    def _label_or_none(self) -> dict[str, Any]:
        try:
            return self._label
        except StoreError:
            return {}

    def runs(self) -> list[Run]:
        """Its runs, pair by pair."""
        return [Run(path, self) for path in self._run_paths]

    def runs_as_trained(self) -> list[Run]:
        """Its runs in the order in which they are trained."""
        places = {arm: place for place, arm in enumerate(self.study.tree_order())}
        return sorted(self.runs(), key=lambda run: (run.pair, places[run.arm_index]))

    def test_accesses(self) -> list[TestSetAccess]:
        """Who looked at the test images with its evidence when, oldest first, in whatever study its
        runs stand; read afresh.

        Raises:
            DamagedError: for a log that is not what was written.
        """
        return evidence.of_store(self.path.parent).test_accesses(self)

    def run(self, name: str) -> Run:
        """The run of that name.

        Raises:
            StoreError: where there is none.
        """
        path = self.path / name
        if (
            not RUN_NAME.fullmatch(name)
            or not record_files.is_there(path)
            or self._is_foreign(path)
        ):
            there = [one.path.name for one in self.runs()] if self.is_readable else []
            hint = f": it has {there[0]} to {there[-1]}" if there else ""
            raise StoreError(f"Study {self.id} has no run {name!r:.60}{hint}.")
        return Run(path, self)

    def _is_foreign(self, path: Path) -> bool:
        return self.is_readable and path not in self._run_paths


def fill_run(folder: Path, study: Study, arm: int, pair: int, more: Mapping[str, Any]) -> None:
    """Write what a new run is asked, and queue it.

    Args:
        more: facts besides: threads and versions.
    """
    asked = {
        "format": record_files.FORMAT,
        "recipe": study.arms[arm].recipe.to_dict(),
        "arm": study.arms[arm].name,
        "pair": pair,
        "seeds": Seeds.of_pair(pair)._asdict(),
        **more,
    }
    record_files.write_json(folder / "recipe.json", asked)
    atomic.touch(folder / "queued")


def run_name(arm: int, pair: int) -> str:
    """The folder of a run: arm2-pair01 for the second arm (index 1) and pair 1."""
    return f"arm{arm + 1}-pair{pair:02d}"
