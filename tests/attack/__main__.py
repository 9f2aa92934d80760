"""`python -m tests.attack --cases 2000 --seed 1`: attack, look, and say what was seen."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tests.attack import real
from tests.attack.mutations import Case, plan
from tests.attack.oracle import LIST, Failure, Oracle
from tests.attack.store import build
from tests.attack.survey import (
    LIMIT_SECONDS,
    Answer,
    Step,
    Surveyor,
    coming_and_going,
    copied,
    steps,
)

HANGS_PER_CASE = 2
REAL_EVERY = 50
"""Cases in which a real worker trains."""
FIRST_LOOK = ("Overview", "list --json", "compare --json", "Compare ?ids=attacked study")


class Attack:
    """Cases against copies of one store, looked at by one process."""

    def __init__(self, reference: Path, folder: Path, seed: int, how: str = "all") -> None:
        self._reference, self._folder, self._seed = reference, folder, seed
        self._how = how
        self._surveyor = Surveyor(reference)
        self._references: dict[str, Answer] = {}

    def __enter__(self) -> Attack:
        return self

    def __exit__(self, *_: object) -> None:
        self._surveyor.close()

    def case(self, number: int) -> tuple[Case, list[Failure]]:
        """Do one case; what was seen that may not be."""
        case = plan(self._reference, self._seed, number)
        asked = steps(self._reference, case, self._how)
        for step in asked:
            self._refer(step)
        assert LIST in self._references
        with copied(self._reference, self._folder, case) as root:
            if case.is_warm or case.is_live:
                for step in (step for step in asked if step.name in FIRST_LOOK):
                    self._surveyor.ask(root, step.request)
            live = case.is_live and (root / case.touched[0]).is_file()
            if not live:
                case.is_live = False
                case.apply(root)
            with coming_and_going(case, root) if live else nullcontext():
                found = list(self._survey(case, root, asked))
            if self._how != "brief" and case.number % REAL_EVERY == 11:
                found += real.look(case, root, self._waiting())
            return case, found

    def _waiting(self) -> list[str]:
        rows = json.loads(self._references[LIST]["out"])
        return [row["run"] for row in rows if row["state"] == "queued"]

    def untouched(self) -> list[Failure]:
        """What is seen in a copy that nothing was done to: nothing."""
        case = Case(0, "nothing", "nothing", [], lambda _: None)
        asked = steps(self._reference, case, self._how)
        for step in asked:
            self._refer(step)
        with copied(self._reference, self._folder, case) as root:
            return list(self._survey(case, root, asked))

    def _refer(self, step: Step) -> None:
        if step.key not in self._references:
            # Of a copy: whoever reads marks what it used, and sweeps.
            self._references[step.key] = self._surveyor.ask(self._untouched(), step.request)

    def _untouched(self) -> Path:
        root = self._folder / "untouched" / "runs"
        if not root.exists():
            root.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(self._reference, root, symlinks=True)
        return root

    def _survey(self, case: Case, root: Path, asked: list[Step]) -> Iterator[Failure]:
        oracle, hangs = Oracle(case, root, self._references), 0
        for step in asked:
            answer = self._surveyor.ask(root, step.request)
            if "hang" in answer or answer["seconds"] > step.request.get("patience", LIMIT_SECONDS):
                # Other work on the machine is no hang: it is one if it happens again.
                answer = self._surveyor.ask(root, step.request)
                hangs += "hang" in answer
            yield from oracle.judge(step, answer)
            if hangs >= HANGS_PER_CASE:
                return


def numbers(cases: int, first: int, part: str) -> Iterable[int]:
    """The numbers of the cases of one part, such as "1/2"."""
    which, of = map(int, part.split("/"))
    return range(first + which - 1, first + cases, of)


def main() -> int:
    """Attack; exit code 1 where anything was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("/tmp/thaw-attack"), help="a folder")
    parser.add_argument("--part", default="1/1", help="1/2 and 2/2 in two processes")
    parser.add_argument("--how", default="all", choices=["all", "everything", "brief"])
    parser.add_argument("--report", type=Path, help="lines of JSON, a case each; goes on there")
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    report = options.report or options.runs / f"report-{options.part.replace('/', '-of-')}.jsonl"
    done = _read(report)
    reference = build(options.runs / "reference")
    here = options.runs / f"cases-{options.part.replace('/', '-')}"
    with (
        Attack(reference, here, options.seed, options.how) as attack,
        open(report, "a") as lines,
    ):
        for number in numbers(options.cases, options.first, options.part):
            if number in done:
                continue
            began = time.perf_counter()
            try:
                case, failures = attack.case(number)
            except Exception as error:  # a case that cannot be done is no finding
                print(f"case {number} cannot be done: {error!r:.300}", file=sys.stderr)
                continue
            line = {
                "number": number,
                "kind": case.kind,
                "words": case.words[:600],
                "warm": case.is_warm,
                "live": case.is_live,
                "seconds": round(time.perf_counter() - began, 2),
                "failures": [failure._asdict() for failure in failures],
            }
            lines.write(json.dumps(line) + "\n")
            lines.flush()
            done[number] = line
    print(summary(done.values()))
    return 1 if any(line["failures"] for line in done.values()) else 0


def _read(report: Path) -> dict[int, dict[str, Any]]:
    if not report.exists():
        return {}
    lines = map(json.loads, report.read_text().splitlines())
    return {line["number"]: line for line in lines}


def summary(lines: Iterable[dict[str, Any]]) -> str:
    """A table by kind, and each cause with the numbers of the cases that show it."""
    lines = list(lines)
    whats = sorted({f["what"] for line in lines for f in line["failures"]})
    words = [f"{len(lines)} cases, {sum(bool(line['failures']) for line in lines)} with failures"]
    head = ["kind", "cases", *whats]
    rows = []
    for kind in dict.fromkeys(line["kind"] for line in lines):
        ours = [line for line in lines if line["kind"] == kind]
        count = Counter(w for line in ours for w in {f["what"] for f in line["failures"]})
        rows.append([kind, str(len(ours)), *(str(count[what] or "") for what in whats)])
    total = Counter(w for line in lines for w in {f["what"] for f in line["failures"]})
    rows.append(["all", str(len(lines)), *(str(total[what]) for what in whats)])
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        words.append("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())
    causes: dict[tuple[str, str], set[int]] = {}
    for line in lines:
        for failure in line["failures"]:
            causes.setdefault((failure["what"], failure["words"]), set()).add(line["number"])
    for (what, cause), found in sorted(causes.items(), key=lambda item: -len(item[1])):
        shown = ", ".join(map(str, sorted(found)[:6]))
        words.append(f"{len(found):4} {what}: {cause}   [cases {shown}{' …' * (len(found) > 6)}]")
    return "\n".join(words)


if __name__ == "__main__":
    sys.exit(main())
