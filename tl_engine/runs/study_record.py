"""A study's own files: study.json, which never changes, and label.json, which people edit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from tl_engine.errors import RECIPE_ERRORS, DamagedError, StoreError, shown
from tl_engine.runs.layout import QUARANTINE, records_in, run_name
from tl_engine.storage import atomic, reading
from tl_engine.study import MAXIMUM_NAME, Seeds, Study
from tl_engine.text import lines

MAXIMUM_NOTE = 5000


class StudyRecord:
    """What a study's own files say. Each is read once: open the study again to see changes.

    Attributes:
        path: its folder.
        id: the folder's name, as it can be printed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = shown(path.name)

    @cached_property
    def _record(self) -> dict[str, Any]:
        """What study.json holds; where it is damaged, the copy in the runs of its first pair."""
        try:
            return records_in(self.path).read("study.json", required=True)
        except DamagedError:
            for record in self._run_records():
                if "of" in record:
                    shared = {name: record[name] for name in ("format", "threads", "versions")}
                    return {**shared, "id": record.get("study", ""), **record["of"]}
            raise

    def _run_records(self) -> Iterator[dict[str, Any]]:
        """What the readable recipe.json files of its runs hold."""
        for path in sorted(Path(entry.path) for entry in reading.names_in(self.path)):
            with contextlib.suppress(StoreError):
                yield records_in(path).read("recipe.json")

    @property
    def format(self) -> int:
        """Of its study.json."""
        return self._record["format"]

    @property
    def written_id(self) -> str:
        """The id that it was created with, also of a copy elsewhere; empty before format 3."""
        return self._record.get("id", "")

    @cached_property
    def study(self) -> Study:
        """The question: arms, pairs, metric and the rest; StoreError where it cannot be read."""
        try:
            return Study.from_dict(self._record["study"], self._record.get("datasets"))
        except RECIPE_ERRORS as error:
            raise StoreError(f"Study {self.id} cannot be read: {error}") from error

    @property
    def created(self) -> datetime:
        """When it was launched, in local time with its zone; errors as those of `study`."""
        try:
            return datetime.fromisoformat(self._record["created"])
        except ValueError as error:
            raise DamagedError(self.path / "study.json", f"created: {error}") from error

    @property
    def is_readable(self) -> bool:
        """Whether the question can be read."""
        try:
            _ = self.study, self.created
        except StoreError:
            return False
        return True

    def recipe_as_written(self, arm: int) -> dict[str, Any]:
        """An arm's recipe, as study.json holds it."""
        return self._record["study"]["arms"][arm]["recipe"]

    def run_record(self, arm: int, pair: int) -> dict[str, Any]:
        """What recipe.json of a run should hold, for one that is missing; DamagedError where
        neither study.json nor another run tells the threads."""
        name = self.study.arms[arm].name
        records = chain([self._record], self._run_records())
        shared = next((record for record in records if "threads" in record), None)
        if shared is None:
            raise DamagedError(self.path / run_name(arm, pair) / "recipe.json", reading.MISSING)
        return {
            "format": self.format,
            "study": self.written_id,
            "recipe": self.recipe_as_written(arm),
            "arm": name,
            "pair": pair,
            "seeds": Seeds.of_pair(pair)._asdict(),
            **{name: shared[name] for name in ("threads", "versions")},
        }

    @property
    def title(self) -> str:
        """What people call it now."""
        return self._label_if_sound.get("title", self.study.title)

    @property
    def note(self) -> str:
        """What people wrote about it."""
        return self._label_if_sound.get("note", "")

    def label(self, title: str | None = None, note: str | None = None) -> None:
        """Rename it or change its note; None leaves either as it is. StoreError for one that is too
        long, or an empty title. A damaged label is set aside in quarantine/."""
        title = self.title if title is None else title.strip()
        note = self.note if note is None else note
        if not 1 <= (visible := len(lines(title).strip())) <= MAXIMUM_NAME:
            raise StoreError(f"A title has 1 to {MAXIMUM_NAME} characters, got {visible}.")
        if len(note) > MAXIMUM_NOTE:
            raise StoreError(f"A note has at most {MAXIMUM_NOTE:,} characters, got {len(note):,}.")
        path = self.path / "label.json"
        try:
            _ = self._label
        except StoreError:
            atomic.set_aside(path, self.path / QUARANTINE)
        records_in(self.path, self.written_id).write(path.name, {"title": title, "note": note})
        self.__dict__.pop("_label", None)

    @cached_property
    def _label(self) -> dict[str, Any]:
        return records_in(self.path, self.written_id).read("label.json")

    @property
    def _label_if_sound(self) -> dict[str, Any]:
        try:
            return self._label
        except StoreError:
            return {}
