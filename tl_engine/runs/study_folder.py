"""One study's folder: what was asked, what people call it, and its runs."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from tl_engine import fsio
from tl_engine.errors import RecipeError, StoreError
from tl_engine.runs.files import read_json
from tl_engine.runs.run import Run
from tl_engine.study import MAXIMUM_NAME, Study

MAXIMUM_NOTE = 5000


class StudyFolder:
    """A study in its store: what was asked, what people call it, and its runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name

    @cached_property
    def _asked(self) -> dict[str, Any]:
        return read_json(self.path / "study.json", required=True)

    @property
    def is_readable(self) -> bool:
        """Whether what was asked can be understood."""
        try:
            _ = self.study, self.created
        except (StoreError, ValueError, KeyError):
            return False
        return True

    @cached_property
    def study(self) -> Study:
        """What was asked.

        Raises:
            StoreError: where study.json cannot be read.
        """
        try:
            return Study.from_dict(self._asked["study"])
        except (RecipeError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"Study {self.id} cannot be read: {error}") from error

    @property
    def created(self) -> datetime:
        """When it was launched, in local time with its zone."""
        return datetime.fromisoformat(self._asked["created"])

    @property
    def title(self) -> str:
        """What people call it now."""
        return read_json(self.path / "label.json").get("title", self.study.title)

    @property
    def note(self) -> str:
        """What people wrote about it."""
        return read_json(self.path / "label.json").get("note", "")

    def label(self, title: str | None = None, note: str | None = None) -> None:
        """Rename it or change its note; None leaves either as it is.

        Raises:
            StoreError: for a title or note that is too long, or an empty title.
        """
        title, note = self.title if title is None else title.strip(), note
        if not 1 <= len(title) <= MAXIMUM_NAME:
            raise StoreError(f"A title has 1 to {MAXIMUM_NAME} characters, got {len(title)}.")
        note = self.note if note is None else note
        if len(note) > MAXIMUM_NOTE:
            raise StoreError(f"A note has at most {MAXIMUM_NOTE:,} characters, got {len(note):,}.")
        fsio.write_json(self.path / "label.json", {"title": title, "note": note})

    def runs(self) -> list[Run]:
        """Its runs, pair by pair."""
        return [
            self.run(run_name(arm, pair))
            for arm, pair in self.study.runs()
            if (self.path / run_name(arm, pair)).is_dir()
        ]

    def run(self, name: str) -> Run:
        """The run of that name.

        Raises:
            StoreError: where there is none.
        """
        path = self.path / name
        if name != Path(name).name or not (path / "recipe.json").exists():
            raise StoreError(f"Study {self.id} has no run {name!r}.")
        return Run(path, self)


def run_name(arm: int, pair: int) -> str:
    """The folder of a run: arm2-pair01 for the second arm (index 1) and pair 1."""
    return f"arm{arm + 1}-pair{pair:02d}"
