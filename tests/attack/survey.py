"""Every page and every command, by a process that can be lost."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.attack.mutations import Case, witness
from tests.attack.store import ENVIRONMENT, PROJECT

LIMIT_SECONDS = 5.0
LOST_SECONDS = 30.0
WARM_SECONDS = 240.0
DROPPED = "--bounding-set=-dac_override,-dac_read_search,-fowner,-chown"
"""What lets root read everything; without it, a closed file is closed for root too."""
Answer = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One page or command.

    Attributes:
        name: for people, such as "Compare ?ids=attacked".
        request: what the surveyor is asked, but for the store.
        study: whose numbers it is about; empty where all.
    """

    name: str
    request: dict[str, Any] = field(hash=False)
    study: str = ""

    @property
    def key(self) -> str:
        """The same request has the same answer where nothing was attacked."""
        return json.dumps(self.request, sort_keys=True)


class Surveyor:
    """The process that looks; started again after each step in which it was lost."""

    def __init__(self, reference: Path) -> None:
        self._reference = reference
        self._process: subprocess.Popen[str] | None = None

    def ask(self, root: Path, request: dict[str, Any], patience: float = LOST_SECONDS) -> Answer:
        """The answer; `hang` in it where there was none in time."""
        process = self._process or self._start()
        answer = self._talk(process, {"root": str(root), **request}, patience)
        if "hang" in answer:
            self.close()
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    pipe.close()
        self._process = None

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.attack.surveyor"]
        if os.getuid() == 0:
            command = ["setpriv", DROPPED, *command]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=PROJECT,
            env={**os.environ, **ENVIRONMENT},
        )
        if not self._wait(WARM_SECONDS):
            raise RuntimeError("The surveyor does not start.")
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"
        # What is imported and loaded once is not part of any step.
        for page in PAGES:
            request = {"do": "page", "page": page, "query": {}, "patience": WARM_SECONDS}
            self._talk(self._process, {"root": str(self._reference), **request}, WARM_SECONDS)
        return self._process

    def _talk(
        self, process: subprocess.Popen[str], request: dict[str, Any], patience: float
    ) -> Answer:
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline() if self._wait(patience) else ""
        except OSError:
            line = ""
        return json.loads(line) if line else {"hang": "no answer, or it died", "seconds": patience}

    def _wait(self, seconds: float) -> bool:
        assert self._process
        assert self._process.stdout
        return bool(select.select([self._process.stdout], [], [], seconds)[0])


PAGES = (
    "app.py",
    "pages/1_Launch.py",
    "pages/2_Compare.py",
    "pages/3_Classify.py",
    "pages/4_Explain.py",
)


def steps(reference: Path, case: Case, how: str = "all") -> list[Step]:
    """What is asked after a case.

    Args:
        how: "all": every page and every command; what each page is asked for changes from case to
            case. "everything": each page for what was attacked, for the witness, and for nothing
            in particular. "brief": what is printed as JSON, Overview and one more page.
    """
    everything = how == "everything"
    safe = witness(reference)
    places = [path.split("/") for path in case.touched if path]
    hit = [p[0] for p in places if (reference / p[0] / "study.json").exists()]
    study = hit[0] if hit else sorted(p.name for p in reference.glob("2*"))[1 + case.number % 5]
    runs = sorted(p.name for p in (reference / study).glob("arm*"))
    attacked = [p[1] for p in places if p[0] == study and len(p) > 1 and p[1] in runs]
    run = f"{study}/{attacked[0] if attacked else runs[0]}"
    other = f"{study}/{next((r for r in runs if r not in attacked), runs[0])}"
    both = [("list", [], "")]
    both += [
        ("show", [run], study),
        ("show", [other], study),
        ("show", [f"{safe}/{WITNESSED}"], safe),
    ]
    both += [("compare", [one], one) for one in dict.fromkeys([*hit[:2], study, safe])]
    both += [("compare", [study, safe], "")]
    found = []
    for name, ids, about in both:
        for more in ([], ["--json"]):
            request = {"do": "command", "arguments": [name, *ids, *more]}
            found.append(Step(" ".join([name, *more]), request, about))
    found.append(Step("worker's look", {"do": "waiting"}))
    predicts = everything or (how == "all" and case.number % REAL_EVERY == 3)
    if predicts:
        request = {"do": "command", "arguments": ["classify", run, str(PICTURE)], **REAL}
        found.append(Step("classify", request, study))
    visits = [("app.py", {}, "")]
    turn = case.number // 3
    compare = [{"ids": study}, {"ids": safe}, {}, {"ids": run}, {"ids": f"{study},{safe}"}]
    launch: list[dict[str, str]] = [{}, {"clone": study}]
    classify: list[dict[str, str]] = [{"ids": run}, {}, {"ids": f"{safe}/{WITNESSED}"}]
    explain: list[dict[str, str]] = [{"ids": study}, {}, {"ids": safe}, {"ids": run}]
    if everything:
        queries = {1: launch, 2: compare, 3: classify, 4: explain}
    else:
        queries = {
            1: [launch[turn % 2]],
            2: [compare[0], compare[1 + turn % 4]],
            3: [classify[turn % 3]],
            4: [explain[turn % 4]],
        }
    visits += [(PAGES[page], query, "") for page, many in queries.items() for query in many]
    for page, query, _ in visits:
        about = query.get("ids", "") or query.get("clone", "")
        words = {study: "attacked study", safe: "witness", run: "attacked run"}
        name = page.split("_")[-1].removesuffix(".py") if page != "app.py" else "Overview"
        if about:
            name += f" ?{'clone' if 'clone' in query else 'ids'}={words.get(about, 'several')}"
        request = {"do": "page", "page": page, "query": query}
        if predicts and page == PAGES[3]:
            request |= REAL
        found.append(Step(name, request, about if "," not in about else ""))
    return _brief(found, case.number) if how == "brief" else found


def _brief(found: list[Step], number: int) -> list[Step]:
    pages = [step for step in found if step.request["do"] == "page"]
    said = [step for step in found if step.name.endswith("--json")]
    look = [step for step in found if step.request["do"] == "waiting"]
    return [*said, *look, pages[0], pages[1 + number % (len(pages) - 1)]]


WITNESSED = "arm1-pair01"
PICTURE = PROJECT / "docs" / "pictures" / "classify.png"
REAL_EVERY = 25
"""Cases in which a real model is loaded."""
REAL = {"predicts": True, "patience": 25.0}
"""TensorFlow takes seconds to load, whatever lies in the store."""


@contextmanager
def copied(reference: Path, folder: Path, case: Case) -> Iterator[Path]:
    """A copy of the reference store, of its own path; removed afterwards."""
    root = folder / f"case-{case.number}" / "runs"
    shutil.rmtree(root.parent, ignore_errors=True)
    root.parent.mkdir(parents=True)
    shutil.copytree(reference, root, symlinks=True)
    try:
        yield root
    finally:
        shutil.rmtree(root.parent, ignore_errors=True)


@contextmanager
def coming_and_going(case: Case, root: Path) -> Iterator[None]:
    """The mutation of one file, made and taken back every few milliseconds, in place."""
    path = root / case.touched[0]
    before = path.read_bytes()
    case.apply(root)
    after = path.read_bytes()
    ended = threading.Event()

    def toggle() -> None:
        content = [before, after]
        while not ended.wait(0.007):
            content.reverse()
            with open(path, "r+b") as file:
                file.truncate(len(content[0]))
                file.write(content[0])

    thread = threading.Thread(target=toggle, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
