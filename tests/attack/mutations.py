"""What is done to a store: case N of seed S is the same mutation of the same place every time.

A mutation is chosen by `plan`, which touches nothing, and done by `Case.apply`. A case names the
paths that it touches, relative to the store: only what lies there may be shown as damaged.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.attack.store import WITNESS

STRANGER = 4242
"""An account that nobody has."""
HUGE_BYTES = 2**30
Place = tuple[Path, str]
"""The store, and a path in it."""


@dataclass
class Case:
    """One mutation.

    Attributes:
        number, kind, words: which one, for people.
        touched: paths relative to the store, each a file, a run or a study.
        has_checksums: what is written carries a valid seal, so it may be taken for true.
        is_foreign: only names were added; nothing that was there may be shown as damaged.
        is_warm: the pages have read the store before, and go on without a restart.
        is_live: the mutation comes and goes while the pages read.
    """

    number: int
    kind: str
    words: str
    touched: list[str]
    do: Callable[[Path], None] = field(repr=False)
    has_checksums: bool = False
    is_foreign: bool = False
    is_warm: bool = False
    is_live: bool = False

    def apply(self, root: Path) -> None:
        """Do it to a copy of the reference store."""
        self.do(root)


def plan(reference: Path, seed: int, number: int) -> Case:
    """The case of that number."""
    random = Random(f"{seed}-{number}")
    kinds = list(KINDS)
    # Every kind in turn, so that few cases see all of them.
    kind = kinds[number % len(kinds)]
    make = KINDS[kind]
    case = make(random, reference)
    case.number, case.kind = number, kind
    case.is_warm = random.random() < 0.4
    case.is_live = kind in LIVE and random.random() < 0.15
    return case


# Places.


def studies(root: Path) -> list[str]:
    """Ids, oldest first, without the witness."""
    return [one for one in _all_studies(root) if one != witness(root)]


def witness(root: Path) -> str:
    """The study that nothing attacks."""
    return next(one for one in _all_studies(root) if _title(root / one) == WITNESS)


def _all_studies(root: Path) -> list[str]:
    return sorted(p.name for p in root.iterdir() if p.is_dir() and p.name[0] != ".")


def _title(study: Path) -> str:
    return json.loads((study / "study.json").read_text())["study"]["title"]


def _runs(root: Path, study: str) -> list[str]:
    return sorted(p.name for p in (root / study).iterdir() if p.name.startswith("arm"))


def _finished(random: Random, root: Path) -> str:
    """A finished run of a study that has more than one."""
    return random.choice(
        [
            f"{study}/{run}"
            for study in studies(root)
            for run in _runs(root, study)
            if (root / study / run / "scores.json").exists() and len(_runs(root, study)) > 1
        ]
    )


def _file(random: Random, root: Path, suffix: tuple[str, ...] = ()) -> str:
    """Any file: a folder first, then a name, so that small files are met as often as many."""
    folders = [s for s in studies(root)]
    folders += [f"{s}/{r}" for s in studies(root) for r in _runs(root, s)] * 2
    folders += [f"{s}/test" for s in studies(root) if (root / s / "test").is_dir()]
    in_root = random.random() < 0.04
    for _ in range(200):
        folder = "" if in_root else random.choice(folders)
        names = sorted(p.name for p in (root / folder).iterdir() if p.is_file())
        names = [name for name in names if not suffix or name.endswith(suffix)]
        if names:
            return f"{folder}/{random.choice(names)}".lstrip("/")
        in_root = False
    return _file(random, root)  # of that kind there is none


def _overwrite(path: Path, content: bytes) -> None:
    """In place, as a disk or another program does it: the folder's time stays."""
    with open(path, "r+b") as file:
        file.truncate(0)
        file.write(content)


# Kinds: bytes.


def _bytes_of(change: Callable[[Random, bytes], bytes], words: str) -> Callable[..., Case]:
    def make(random: Random, root: Path) -> Case:
        name = _file(random, root)
        seed = random.random()

        def do(store: Path) -> None:
            path = store / name
            _overwrite(path, change(Random(seed), path.read_bytes()))

        return Case(0, "", f"{words} in {name}", [name], do)

    return make


def _flip(random: Random, content: bytes) -> bytes:
    if not content:
        return b"\x00"
    place = random.randrange(len(content))
    bit = 1 << random.randrange(8)
    return content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]


def _digit(random: Random, content: bytes) -> bytes:
    """Another digit: still JSON, another number."""
    places = [place for place, byte in enumerate(content) if chr(byte).isdigit()]
    if not places:
        return _flip(random, content)
    place = random.choice(places)
    other = random.choice([d for d in b"0123456789" if d != content[place]])
    return content[:place] + bytes([other]) + content[place + 1 :]


def _zero(random: Random, content: bytes) -> bytes:
    first = random.randrange(len(content) + 1)
    many = min(random.choice([1, 16, 512, 4096]), len(content) - first)
    return content[:first] + bytes(many) + content[first + many :]


def _insert(random: Random, content: bytes) -> bytes:
    place = random.randrange(len(content) + 1)
    return content[:place] + random.randbytes(random.choice([1, 3, 50])) + content[place:]


def _remove(random: Random, content: bytes) -> bytes:
    place = random.randrange(len(content) + 1)
    return content[:place] + content[place + random.choice([1, 3, 50]) :]


def _cut(random: Random, content: bytes) -> bytes:
    lines = [p + 1 for p, byte in enumerate(content[:20000]) if byte == 10]
    if lines and random.random() < 0.5:
        return content[: random.choice(lines)]
    return content[: random.randrange(len(content) + 1)]


def _lines(random: Random, content: bytes) -> bytes:
    """Lines twice, gone or in another order."""
    lines = content.splitlines(keepends=True)
    if random.random() < 0.4 and lines:
        lines.append(random.choice(lines))
    elif random.random() < 0.5 and lines:
        del lines[random.randrange(len(lines))]
    else:
        random.shuffle(lines)
    return b"".join(lines)


# Kinds: another file in its place.


def _deleted(random: Random, root: Path) -> Case:
    name = _file(random, root)
    return Case(0, "", f"{name} deleted", [name], lambda store: (store / name).unlink())


def _deleted_folder(random: Random, root: Path) -> Case:
    name = _finished(random, root)
    if random.random() < 0.3:
        name = name.split("/")[0]
    return Case(0, "", f"{name}/ deleted", [name], lambda store: shutil.rmtree(store / name))


def _replaced(put: Callable[[Path], None], words: str) -> Callable[..., Case]:
    """Another thing than a file where a file was; now and then where a folder was."""

    def make(random: Random, root: Path) -> Case:
        name = _file(random, root)
        if random.random() < 0.15:
            name = _finished(random, root)
        elif random.random() < 0.06:
            name = random.choice(studies(root))

        def do(store: Path) -> None:
            path = store / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            put(path)

        return Case(0, "", f"{words} at {name}", [name], do)

    return make


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        here = os.getcwd()
        os.chdir(path.parent)  # its name may have 108 bytes
        try:
            end.bind(path.name)
        finally:
            os.chdir(here)


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "arm1-pair01").mkdir()
    (path / "study.json").write_text("{}")


def _huge(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(HUGE_BYTES)


def _swapped(random: Random, root: Path) -> Case:
    """The same file of two runs, or two files of one run, exchanged."""
    first = _finished(random, root)
    others = [_finished(random, root) for _ in range(8)]
    second = next((o for o in others if o != first), first)
    within = [f"{first.split('/')[0]}/{r}" for r in _runs(root, first.split("/")[0])]
    if random.random() < 0.6:
        second = random.choice([o for o in within if o != first])
    shared = sorted(
        {p.name for p in (root / first).iterdir() if p.is_file() and p.stat().st_size}
        & {p.name for p in (root / second).iterdir() if p.is_file()}
    )
    names = random.sample(shared, random.choice([1, 1, 1, 2, min(4, len(shared))]))
    if random.random() < 0.12:
        return _swap(first, second)
    if random.random() < 0.12:
        one, other = random.sample(shared, 2)
        return _swap(f"{first}/{one}", f"{first}/{other}")
    pairs = [(f"{first}/{n}", f"{second}/{n}") for n in names]

    def do(store: Path) -> None:
        for one, other in pairs:
            _exchange(store / one, store / other)

    return Case(0, "", f"{names} of {first} and {second} exchanged", [first, second], do)


def _swapped_studies(random: Random, root: Path) -> Case:
    """A file of a study exchanged with that of another one, or a whole run."""
    first, second = random.sample(studies(root), 2)
    name = random.choice(["study.json", "study.json", "arm1-pair01", "arm2-pair01"])
    one, other = f"{first}/{name}", f"{second}/{name}"
    case = _swap(one, other)
    if name == "study.json":
        case.touched = [first, second]
    return case


def _swap(one: str, other: str) -> Case:
    words = f"{one} and {other} exchanged"
    return Case(0, "", words, [one, other], lambda s: _exchange(s / one, s / other))


def _exchange(one: Path, other: Path) -> None:
    between = one.with_name(f".{one.name}.between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


def _copied(random: Random, root: Path) -> Case:
    """A valid file of another run, of any kind of state, over this one."""
    source = _file(random, root)
    name = _file(random, root, suffix=(Path(source).suffix or Path(source).name,))
    return Case(
        0,
        "",
        f"{source} copied over {name}",
        [name],
        lambda store: _overwrite(store / name, (store / source).read_bytes()),
    )


def _closed(random: Random, root: Path) -> Case:
    """Mode 000, or another account's."""
    name = _file(random, root)
    if random.random() < 0.35:
        name = _finished(random, root)
    if random.random() < 0.15:
        name = random.choice(studies(root))
    foreign = random.random() < 0.5

    def do(store: Path) -> None:
        path = store / name
        if foreign:
            if os.getuid() == 0:
                os.chown(path, STRANGER, STRANGER)
            path.chmod(0o700 if path.is_dir() else 0o600)
        if not foreign or os.getuid():
            path.chmod(0)

    return Case(0, "", f"{name} {'of another account' if foreign else 'mode 000'}", [name], do)


# Kinds: JSON.

NUMBERS: tuple[Any, ...] = (
    int("9" * 400),
    -int("9" * 400),
    1e308,
    -1,
    0,
    float("nan"),
    float("inf"),
    2**63,
    0.5,
)
VALUES: tuple[Any, ...] = (*NUMBERS, None, True, "", "5", "\ud800", "a\x00b", "x" * 100_000, [], {})
VALUES += ([None], {"a": 1}, [[]] * 3, "../../etc/passwd", "</script><script>alert(1)</script>")


def _whole(random: Random, root: Path) -> Case:
    """Any JSON in the place of a file, without a seal."""
    name = _file(random, root, (".json", ".jsonl", "pulse"))
    texts = [
        "5",
        "null",
        "[]",
        '""',
        "true",
        "NaN",
        "1" * 5000,
        '{"format": ' + "9" * 5000 + "}",
        '{"format": ' + "9" * 400 + "}",
        '{"format": "2"}',
        '{"format": null, "seal": null}',
        '{"format": 3}',
        '{"format": -1e999}',
        "[" * 970 + "]" * 970,
        '{"a": ' + "[" * 970 + "]" * 970 + "}",
        '{"a": ' + "[" * 100_000,
        '{"seal": "\\ud800"}',
        '{"seal": 5}',
        "{}",
        '{"a": 1, "a": 2}',
        "\ufeff{}",
        "{'a': 1}",
    ]
    text = random.choice(texts)
    end = random.choice(["", "\n", "\n\n"])
    return Case(
        0,
        "",
        f"{name} says {text[:40]}{'…' * (len(text) > 40)} ({len(text)} characters)",
        [name],
        lambda store: _overwrite(store / name, (text + end).encode()),
    )


def _sealed(random: Random, root: Path) -> Case:
    """One value in a JSON object replaced, added or dropped, and sealed again."""
    return _changed_json(random, root, has_checksums=True)


def _checksum_name(random: Random, root: Path) -> Case:
    """The same for each name of a file as often as for any other."""
    found = sorted(
        str(p.relative_to(root))
        for study in studies(root)
        for p in (root / study).rglob("*.json*")
        if p.suffix in (".json", ".jsonl") and p.stat().st_size
    )
    found.append("measurements.jsonl")
    name = random.choice(sorted({Path(one).name for one in found}))
    chosen = random.choice([one for one in found if Path(one).name == name])
    return _changed_json(random, root, has_checksums=True, name=chosen)


def _without_checksum(random: Random, root: Path) -> Case:
    """The same, with the seal that it had, or with none and no format."""
    return _changed_json(random, root, has_checksums=False)


def _changed_json(random: Random, root: Path, has_checksums: bool, name: str = "") -> Case:
    name = name or _file(random, root, (".json", ".jsonl"))
    seed = random.random()
    random = Random(seed)
    lines = (root / name).read_bytes().splitlines()
    is_lines = name.endswith(".jsonl")
    texts = lines if is_lines else [(root / name).read_bytes()]
    chosen = random.randrange(len(texts)) if texts else 0
    try:
        value = json.loads(texts[chosen]) if texts else {}
    except ValueError:
        value = {}
    seal = value.pop("seal", None)
    what = _change(random, value)
    if has_checksums:
        with_nothing = random.random() < 0.1
        if not with_nothing:
            value["seal"] = checksum_of(value)
        else:
            value.pop("format", None)
            what += ", no seal, no format"
    elif random.random() < 0.5 and seal:
        value["seal"] = seal
    with _deep():
        new = json.dumps(value).encode()
    texts = [*texts[:chosen], new, *texts[chosen + 1 :]] if texts else [new]
    content = b"\n".join(texts) + (b"\n" if is_lines else b"")
    words = f"{name}: {what}{', sealed' if has_checksums else ''}"
    return Case(
        0, "", words, [name], lambda s: _overwrite(s / name, content), has_checksums=has_checksums
    )


def _change(random: Random, value: Any) -> str:
    """Change one place of a JSON value, at any depth; what was done."""
    places: list[tuple[Any, Any, str]] = []

    def walk(inner: Any, path: str) -> None:
        items = inner.items() if isinstance(inner, dict) else enumerate(inner)
        for key, below in list(items)[:40]:
            places.append((inner, key, f"{path}/{key}"))
            if isinstance(below, dict | list):
                walk(below, f"{path}/{key}")

    walk(value, "")
    # Shallow places as often as the many deep ones.
    depth = random.choice(sorted({where.count("/") for _, _, where in places} or {0}))
    places = [place for place in places if place[2].count("/") == depth] or places
    if not places:
        value["a"] = random.choice(VALUES)
        return "/a added"
    holder, key, where = random.choice(places)
    how = random.random()
    if how < 0.15:
        del holder[key]
        return f"{where} dropped"
    if how < 0.2 and isinstance(holder, dict):
        holder[f"{key}?"] = holder.pop(key)
        return f"{where} renamed"
    new = random.choice(VALUES)
    if how < 0.3:
        new = nested(970)
    elif how < 0.35 and isinstance(holder[key], int | float):
        new = str(holder[key])
    holder[key] = new
    shown = "10**400" if isinstance(new, int) and abs(new) > 10**20 else _shown(new)
    return f"{where} = {shown[:40]}"


def _shown(value: Any) -> str:
    with _deep():
        return repr(value)


@contextmanager
def _deep() -> Iterator[None]:
    """Room for values that are nested more deeply than the product may have to read."""
    known = sys.getrecursionlimit()
    sys.setrecursionlimit(known + 5000)
    try:
        yield
    finally:
        sys.setrecursionlimit(known)


def nested(depth: int) -> list[Any]:
    """Lists in lists."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def checksum_of(value: dict[str, Any]) -> str:
    """As the product seals: 16 hex digits of the sha256 of the JSON with sorted keys."""
    with _deep():
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# Kinds: names of others.


def _foreign(random: Random, root: Path) -> Case:
    """A name that nobody of Thaw made, as a file, a folder, a link or a FIFO."""
    study = random.choice(studies(root))
    where = random.choice(["", "", study, study, f"{study}/arm1-pair01"])
    names: list[bytes] = [
        b"\xff\xfe\x80",
        b"20261126-120000-\xe9\xe9",
        b"arm99-pair01",
        b"arm1-pair999999",
        b"arm0-pair0",
        b"arm1-pair00",
        b"arm1-pair1",
        b"arm1-pair01 ",
        b"arm-1-pair01",
        b"arm\xd9\xa1-pair01",  # an Arabic-Indic digit, which int() reads
        b"arm1-pair99",
        b"arm2-pair02x",
        b"arm1-pair" + b"9" * 200,
        b"x" * 255,
        b" ",
        b"\t",
        b"two\nlines",
        b".hidden",
        b".cache",
        b"...",
        b"-rf",
        b"%2e%2e",
        "\u202eevil".encode(),
        b"<b>bold",
        b"20261126-120000-abcd",
        b"99999999-999999-zzzz",
        b"quarantine",
        b"nested",
    ]
    name = random.choice(names)
    things: dict[str, Callable[[bytes, Path], None]] = {
        "file": lambda path, _: Path(os.fsdecode(path)).write_bytes(b"hello"),
        "empty folder": lambda path, _: os.mkdir(path),
        "FIFO": lambda path, _: os.mkfifo(path),
        "link to itself": lambda path, _: os.symlink(os.path.basename(path), path),
        "link to the folder above": lambda path, _: os.symlink(b"..", path),
        "link to nothing": lambda path, _: os.symlink(b"/nowhere", path),
        "link to /dev/zero": lambda path, _: os.symlink(b"/dev/zero", path),
        "link to /": lambda path, _: os.symlink(b"/", path),
        "folder that is closed": lambda path, _: _closed_folder(path),
        "copy of the study": lambda path, store: _copy(store / study, path),
        "copy of a run": lambda path, store: _copy(store / study / "arm1-pair01", path),
        "folder with a FIFO study.json": lambda path, _: _fifo_study(path),
        "whole store": lambda path, store: _nested_store(store, path),
    }
    thing = random.choice(list(things))

    def do(store: Path) -> None:
        path = os.path.join(os.fsencode(store / where), name)
        if os.path.lexists(path):
            path += b"-2"
        things[thing](path, store)

    shown = name if len(name) < 50 else name[:20] + b"..."
    words = f"{thing} named {shown!r} in {where or 'the store'}"
    return Case(0, "", words, [], do, is_foreign=True)


def _closed_folder(path: bytes) -> None:
    os.mkdir(path)
    os.chmod(path, 0)


def _fifo_study(path: bytes) -> None:
    os.mkdir(path)
    for name in (b"study.json", b"label.json"):
        os.mkfifo(os.path.join(path, name))


def _copy(source: Path, path: bytes) -> None:
    _copy_in(path, lambda aside: shutil.copytree(source, aside, symlinks=True))


def _nested_store(store: Path, path: bytes) -> None:
    def fill(aside: Path) -> None:
        for name in studies(store)[:2]:
            shutil.copytree(store / name, aside / name, symlinks=True)

    _copy_in(path, fill)


def _copy_in(path: bytes, fill: Callable[[Path], Any]) -> None:
    """By way of a folder aside: the place may lie within what is copied."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "aside")
        shutil.move(Path(folder) / "aside", os.fsdecode(path))


def _folder_link(random: Random, root: Path) -> Case:
    """A run or a study that is a link: to itself, to another one, to its own parent."""
    name = _finished(random, root)
    if random.random() < 0.4:
        name = name.split("/")[0]
    other = _finished(random, root)
    targets = [Path(name).name, "..", ".", "/", "/proc/self", "/dev", other.split("/")[-1]]
    target = random.choice(targets)

    def do(store: Path) -> None:
        shutil.rmtree(store / name)
        (store / name).symlink_to(target)

    return Case(0, "", f"{name} is a link to {target}", [name], do)


def _several(random: Random, root: Path) -> Case:
    """One flipped byte in each of a few files of one study."""
    study = random.choice(studies(root))
    files = sorted(
        str(p.relative_to(root))
        for p in (root / study).rglob("*")
        if p.is_file() and p.suffix in (".json", ".jsonl", ".npz")
    )
    if random.random() < 0.5:
        chosen = [f for f in files if f.endswith(("study.json", "pair01/recipe.json"))]
    else:
        chosen = random.sample(files, min(len(files), random.randrange(2, 6)))
    seed = random.random()

    def do(store: Path) -> None:
        for index, name in enumerate(chosen):
            path = store / name
            _overwrite(path, _flip(Random(seed + index), path.read_bytes()))

    return Case(0, "", f"a byte flipped in each of {chosen}", chosen, do)


KINDS: dict[str, Callable[[Random, Path], Case]] = {
    "bit flipped": _bytes_of(_flip, "a bit flipped"),
    "another digit": _bytes_of(_digit, "another digit"),
    "bytes zeroed": _bytes_of(_zero, "bytes zeroed"),
    "bytes inserted": _bytes_of(_insert, "bytes inserted"),
    "bytes removed": _bytes_of(_remove, "bytes removed"),
    "truncated": _bytes_of(_cut, "truncated"),
    "lines": _bytes_of(_lines, "lines changed"),
    "emptied": _bytes_of(lambda _, __: b"", "nothing left"),
    "several files": _several,
    "deleted": _deleted,
    "folder deleted": _deleted_folder,
    "exchanged": _swapped,
    "exchanged studies": _swapped_studies,
    "another's file": _copied,
    "folder": _replaced(_folder, "a folder"),
    "FIFO": _replaced(lambda path: os.mkfifo(path), "a FIFO"),
    "socket": _replaced(_socket, "a socket"),
    "link to itself": _replaced(lambda p: p.symlink_to(p.name), "a link to itself"),
    "dangling link": _replaced(lambda p: p.symlink_to("/nowhere/at/all"), "a dangling link"),
    "/dev/zero": _replaced(lambda p: p.symlink_to("/dev/zero"), "a link to /dev/zero"),
    "/dev/full": _replaced(lambda p: p.symlink_to("/dev/full"), "a link to /dev/full"),
    "huge": _replaced(_huge, "1 GB of zeros"),
    "folder is a link": _folder_link,
    "closed": _closed,
    "any JSON": _whole,
    "changed JSON": _without_checksum,
    "sealed JSON": _sealed,
    "sealed JSON again": _checksum_name,
    "foreign name": _foreign,
    "foreign name again": _foreign,
}
LIVE = {"bit flipped", "another digit", "truncated", "emptied", "changed JSON", "any JSON"}
