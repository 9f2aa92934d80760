"""A disk that forgets, when the power is cut, what nobody waited for.

It sees every step that `tl_engine.storage.atomic` takes and keeps two states: what processes see,
and what is bound to survive. Data survives once its file is synced, a name once its folder is. What
is in between may survive or not, so a power cut has several outcomes; all of them are built.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations
from pathlib import Path
from typing import Any

MANY = 4
"""Of more unsure names than these, not every combination is built."""


class File:
    """Its data, and how much of it is bound to survive."""

    def __init__(self, data: bytes = b"") -> None:
        self.data, self.safe = data, data

    def after(self, luck: str) -> bytes:
        """What a power cut leaves: what was synced, and "all", "half" or "none" of the rest."""
        rest = len(self.data) - len(self.safe)
        return self.data[: len(self.safe) + {"all": rest, "half": rest // 2, "none": 0}[luck]]


class Folder:
    """Its names, and those that are bound to survive."""

    def __init__(self) -> None:
        self.names: dict[str, File | Folder] = {}
        self.safe: dict[str, File | Folder] = {}


Changes = list[tuple[Folder, str, "File | Folder | None"]]
"""Names of folders that change at once; None where the name goes."""


class Disk:
    """Two states of everything under a folder; the steps come by `see`."""

    def __init__(self, root: Path) -> None:
        self._path = root
        self._root = Folder()
        self._unsure: list[Changes] = []

    def apply(self, step: str, path: Path, detail: Any) -> None:
        """Take the step."""
        if step == "sync folder":
            return self._settle(self._folder(path))
        if step == "make folder":
            self._folder(path)
        if step in ("create", "make folder"):  # what is made aside is known by its first use
            return None
        folder, name = self._folder(path.parent), path.name
        if step in ("write", "touch"):
            file = File()
            file.data = detail or b""
            self._change([(folder, name, file)])
        elif step == "append":
            if name not in folder.names:
                self._change([(folder, name, File())])
            folder.names[name].data += detail
        elif step == "sync":
            folder.names[name].safe = folder.names[name].data
        elif step == "rename":
            self._change(
                [
                    (folder, name, None),
                    (self._folder(detail.parent), detail.name, folder.names[name]),
                ]
            )
        elif step == "remove":
            self._change([(folder, name, None)])
        elif step == "put":  # somebody else changed a file, long ago
            folder.names[name].data = folder.names[name].safe = detail
        return None

    def outcomes(self) -> Iterator[dict[str, bytes]]:
        """What may be found after a power cut in this moment: contents by path."""
        numbers = range(len(self._unsure))
        chosen = chain.from_iterable(combinations(numbers, k) for k in range(len(numbers) + 1))
        if len(numbers) > MANY:
            chosen = chain(tuple(numbers[:k]) for k in range(len(numbers) + 1))
        for survivors in chosen:
            names = {}
            for number in survivors:
                for folder, name, node in self._unsure[number]:
                    names.setdefault(folder, dict(folder.safe))
                    _set(names[folder], name, node)
            for luck in ("all", "half", "none"):
                yield dict(_files(self._root, names, luck, ""))

    def _change(self, changes: Changes) -> None:
        for folder, name, node in changes:
            _set(folder.names, name, node)
        self._unsure.append(changes)

    def _settle(self, folder: Folder) -> None:
        """The folder's own names are bound to survive now."""
        for changes in self._unsure:
            for changed, name, node in changes:
                if changed is folder:
                    _set(folder.safe, name, node)
        rest = ([one for one in changes if one[0] is not folder] for changes in self._unsure)
        self._unsure = [changes for changes in rest if changes]

    def _folder(self, path: Path) -> Folder:
        """The folder of that path; it was made a moment ago where nobody knows it."""
        folder = self._root
        for part in path.relative_to(self._path).parts:
            if part not in folder.names:
                self._change([(folder, part, Folder())])
            folder = folder.names[part]
        return folder


class Recorder:
    """Writes down every step, to be taken again on a Disk; set it as `fsio.watch`."""

    def __init__(self, root: Path) -> None:
        self.steps: list[list[Any]] = []
        self._root = root
        self._open: dict[Path, int] = {}

    def __call__(self, step: str, path: Path, detail: Any) -> None:
        if step == "write":
            self._open[path] = len(self.steps)
        elif path in self._open and step in ("sync", "rename"):
            # What was written is known once it is complete.
            self.steps[self._open.pop(path)][2] = path.read_bytes()
        self.steps.append([step, path, detail])

    def cuts(self) -> Iterator[tuple[int, list[dict[str, bytes]]]]:
        """The outcomes of a power cut after each number of steps."""
        disk = Disk(self._root)
        for number in range(len(self.steps) + 1):
            yield number, list(_distinct(list(disk.outcomes())))
            if number < len(self.steps):
                disk.apply(*self.steps[number])


def build(files: dict[str, bytes], root: Path) -> None:
    """Make the folders and files."""
    root.mkdir()
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_bytes(data)
        else:
            path.mkdir(exist_ok=True)


def _distinct(outcomes: list[dict[str, bytes]]) -> Iterator[dict[str, bytes]]:
    for number, outcome in enumerate(outcomes):
        if outcome not in outcomes[:number]:
            yield outcome


def _set(names: dict[str, Any], name: str, node: File | Folder | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


def _files(
    folder: Folder, names: dict[Folder, dict[str, Any]], luck: str, under: str
) -> Iterator[tuple[str, bytes]]:
    for name, node in names.get(folder, folder.safe).items():
        if isinstance(node, File):
            yield under + name, node.after(luck)
        else:
            yield f"{under}{name}/", b""
            yield from _files(node, names, luck, f"{under}{name}/")
