"""What no page and no command may do, whatever lies in the store."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from tests.attack.mutations import Case
from tests.attack.survey import LIMIT_SECONDS, Answer, Step

UNEXPECTED = "Something went wrong that Thaw did not expect"
FULL_DISK = re.compile(r"disk that holds your studies is full|The disk refuses to be written")
UNSTABLE = {"bytes_on_disk", "study", "sentence", "title", "studies", "rests_on"}
"""What is not a number of a run, or changes with what was attacked: copies of studies count."""
TIMES = re.compile(r"Time|Phase|Progress|Duration|Launched|Study")


class Failure(NamedTuple):
    """What was seen.

    Attributes:
        what: traceback, hang, wrong number, others hidden, all refused, or no sentence.
        where: the step.
        words: a line that tells one cause from another.
        detail: all that was seen.
    """

    what: str
    where: str
    words: str
    detail: str


class Oracle:
    """Judges the answers after one case against those of the untouched store."""

    def __init__(self, case: Case, root: Path, references: dict[str, Answer]) -> None:
        self._case, self._root, self._references = case, root, references
        self._listed: dict[str, Any] | None = None
        places = [Path(path).parts for path in case.touched if path]
        self._runs = {"/".join(p[:2]) for p in places if len(p) > 1 and p[1].startswith("arm")}
        harmless = ("label.json", "openings.jsonl", "test", "robustness", "pairs.lock")
        self._studies = {p[0] for p in places if len(p) == 1 or p[1] == "study.json"}
        self._named = {p[0] for p in places if len(p) > 1 and p[1] in harmless}
        self._studies = {one for one in self._studies if not one.startswith(("worker", "measure"))}

    def judge(self, step: Step, answer: Answer) -> list[Failure]:
        """What the answer to a step must not be."""
        found = list(self._dead(step, answer))
        if found or "hang" in answer:
            return found
        kind = step.request["do"]
        if kind == "command":
            return [*found, *self._command(step, answer)]
        if kind == "page":
            return [*found, *self._page(step, answer)]
        return [*found, *self._look(step, answer)]

    def _dead(self, step: Step, answer: Answer) -> list[Failure]:
        if "hang" in answer:
            return [
                Failure(
                    "hang",
                    step.name,
                    (place(answer["hang"]) or "somewhere").split()[0],
                    answer["hang"],
                )
            ]
        if answer["seconds"] > step.request.get("patience", LIMIT_SECONDS):
            return [Failure("hang", step.name, "slow", f"{answer['seconds']:.1f} s")]
        if "broken" in answer:
            return [Failure("traceback", step.name, place(answer["broken"]), answer["broken"])]
        seen = [answer.get("traceback", ""), *answer.get("exceptions", [])]
        seen += answer.get("logged", [])
        if "Traceback" in answer.get("err", ""):
            seen.append(answer["err"])
        seen = [text for text in seen if text]
        if not seen:
            seen = [e for e in answer.get("errors", []) if UNEXPECTED in e]
        return [Failure("traceback", step.name, place(text), text) for text in dict.fromkeys(seen)]

    # Commands.

    def _command(self, step: Step, answer: Answer) -> list[Failure]:
        name, as_json = step.request["arguments"][0], "--json" in step.request["arguments"]
        reference = self._references[step.key]
        left_out = name == "compare" and "is left out" in answer["err"]  # exit code 1 says so
        if answer["code"] not in (0, 1 if left_out else 0, 2):
            return [Failure("no sentence", step.name, f"exit code {answer['code']}", str(answer))]
        if answer["code"] == 2 and not answer["err"].strip():
            return [Failure("no sentence", step.name, "refused in silence", str(answer))]
        if FULL_DISK.search(answer["err"]):
            return [Failure("wrong sentence", step.name, "full disk", answer["err"])]
        if answer["code"] == 2 and reference["code"] == 0:
            return self._refused(step, answer)
        if answer["code"] == 2:
            return []
        if not as_json or reference["code"] != 0:
            return []
        try:
            now, then = json.loads(answer["out"]), json.loads(reference["out"])
        except ValueError as error:
            return [Failure("no JSON", step.name, str(error), answer["out"][:3000])]
        if name == "list":
            return self._list(step, now, then, answer["err"])
        if name == "show":
            return self._show(step, now, then)
        return self._compare(step, now, then)

    def _refused(self, step: Step, answer: Answer) -> list[Failure]:
        """Only what was attacked may be refused, and a study only where nothing of it is left."""
        words = answer["err"].strip()
        given = step.request["arguments"][1:]
        ids = [one for one in given if one[0] not in "-/"]  # without options and pictures
        for one in ids:
            if one in self._runs or one.split("/")[0] in self._studies:
                continue
            if "/" in one:
                return [Failure("others hidden", step.name, "a sound run is refused", words)]
            if self._sound_runs(one):
                return [Failure("all refused", step.name, "one damaged run refuses all", words)]
        if step.request["arguments"][0] == "list":
            return [Failure("others hidden", step.name, "nothing is listed", words)]
        if not self._runs and all(one.split("/")[0] not in self._studies for one in ids):
            return [Failure("all refused", step.name, "nothing was attacked here", words)]
        if len(ids) > 1:
            return [Failure("all refused", step.name, "one damaged study refuses all", words)]
        return []

    def _sound_runs(self, study: str) -> list[str]:
        """Runs of a study that nothing touched and that had epochs."""
        rows = json.loads(self._references[LIST]["out"])
        return [
            row["run"]
            for row in rows
            if row["run"].startswith(f"{study}/")
            and row["run"] not in self._runs
            and row["val_accuracy"] is not None
        ]

    def _stands_as_before(self, run: str) -> bool:
        states = {row["run"]: row["state"] for row in json.loads(self._references[LIST]["out"])}
        return (self._listed or {}).get(run, {}).get("state") == states.get(run)

    def _list(self, step: Step, now: Any, then: Any, said: str) -> list[Failure]:
        listed = {row["run"]: row for row in now}
        self._listed = listed
        found = []
        for row in then:
            run, study = row["run"], row["run"].split("/")[0]
            new = listed.get(run)
            if study in self._studies:
                if new is None and study not in said and (self._root / study).is_dir():
                    found.append(Failure("study vanished", step.name, study, said))
                elif new and not self._case.has_checksums:
                    found += self._numbers(step, run, new, row)
            elif run in self._runs:
                if new is None and (self._root / run).is_dir():
                    found.append(Failure("run vanished", step.name, run, said))
                elif new:
                    found += self._numbers(step, run, new, row)
            elif new is None:
                found.append(Failure("others hidden", step.name, "a run is not listed", run))
            elif _stable(new) != _stable(row):
                words = "a sound run is shown as " + str(new["state"])
                if new["state"] == row["state"]:
                    words = "a sound run has other numbers"
                found.append(Failure("others changed", step.name, words, f"{row}\n{new}"))
        return found[:5]

    def _numbers(self, step: Step, run: str, new: Any, old: Any) -> list[Failure]:
        """A number of a run that is not marked as damaged is the number that was written."""
        if new["state"] == "damaged":
            return []
        wrong = {}
        for name, value in new.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            was = old.get(name)
            absurd = name in ("val_accuracy", "best") and not 0 <= value <= 1
            if name == "total_seconds" and new["state"] != old["state"]:
                continue  # without its outcome, of its last heartbeat
            changed = value != was and name not in UNSTABLE and not self._case.has_checksums
            if absurd or changed:
                wrong[name] = (was, value if abs(value) < 1e50 else "huge")
        if not wrong:
            return []
        words = f"{', '.join(wrong)} ({new['state']})"
        return [Failure("wrong number", step.name, words, f"{run}: {wrong}")]

    def _show(self, step: Step, now: Any, then: Any) -> list[Failure]:
        run = now["run"]
        if run in self._runs or step.study in self._studies:
            found = self._numbers(step, run, now, then)
            if self._case.has_checksums or now["state"] == "damaged":
                return found
            for name in ("val_accuracy", "accuracy", "loss"):
                new = [epoch.get(name) for epoch in now["history"]]
                if new and new != [epoch.get(name) for epoch in then["history"]]:
                    found.append(Failure("wrong number", step.name, f"history {name}", str(new)))
            scores = now["scores"].get("splits") if now["scores"] else None
            if scores and scores != then["scores"].get("splits"):
                found.append(Failure("wrong number", step.name, "scores", str(scores)[:2000]))
            return found
        if _stable(now) != _stable(then):
            words = [n for n in then if n not in UNSTABLE and now.get(n) != then[n]]
            return [Failure("others changed", step.name, str(words), run)]
        return []

    def _compare(self, step: Step, now: Any, then: Any) -> list[Failure]:
        found = []
        rows = {row["run"]: row for row in now["runs"]}
        olds = {row["run"]: row for row in then["runs"]}
        for run, old in olds.items():
            new, study = rows.get(run), run.split("/")[0]
            touched = run in self._runs or study in self._studies
            if new is None:
                if not touched:
                    found.append(
                        Failure("others hidden", step.name, "a sound run is left out", run)
                    )
                continue
            state = (self._listed or {}).get(run, {}).get("state")
            if touched and state == "damaged" and not self._case.is_live:
                found.append(Failure("wrong number", step.name, "a damaged run counts", run))
            if touched and self._case.has_checksums:
                continue
            wrong = [n for n in old if n not in UNSTABLE and new.get(n) != old[n]]
            if wrong:
                what = "wrong number" if touched else "others changed"
                words = f"{wrong}"
                found.append(Failure(what, step.name, words, f"{old}\n{new}"))
        # Where people's title cannot be read, arms of several studies have other names.
        # Arms of damaged runs have no verdict, which changes how many Holm corrects for.
        sound = not self._case.has_checksums and not self._studies and not self._named
        # Of a file that comes and goes, scores and the health check may have seen either. A run
        # that is not over any more (its outcome is gone) is no evidence until it has gone on.
        sound = sound and not now["damaged"] and not self._case.is_live
        sound = sound and all(map(self._stands_as_before, self._runs))
        if sound and rows.keys() == olds.keys() and not found:
            for name in ("arms", "verdicts"):
                old, new = ([_stable(row) for row in answer[name]] for answer in (then, now))
                if old != new:
                    found.append(Failure("wrong number", step.name, name, f"{old}\n{new}"))
        return found[:5]

    # Pages.

    def _page(self, step: Step, answer: Answer) -> list[Failure]:
        reference = self._references[step.key]
        found = []
        for sentence in answer["errors"]:
            if FULL_DISK.search(sentence):
                found.append(Failure("wrong sentence", step.name, "full disk", sentence))
        if step.name == "Overview":
            found += self._overview(step, answer, reference)
        query = step.request["query"]
        if query.get("ids") and step.name.endswith(("witness", "attacked study")):
            found += self._tables(step, answer, reference)
        return found

    def _overview(self, step: Step, answer: Answer, reference: Answer) -> list[Failure]:
        """Each row of a study that nothing touched is there as it was."""
        titles = self._titles()
        hurt = {titles[one] for one in (*self._studies, *self._named) if one in titles}
        hurt_runs = {(titles.get(run.split("/")[0]), *_numbered(run)) for run in self._runs}
        there = {_row_key(row): row for frame in answer["frames"] for row in frame if "Arm" in row}
        found = []
        for row in (row for frame in reference["frames"] for row in frame if "Arm" in row):
            key, new = _row_key(row), there.get(_row_key(row))
            arm = {"Fine-tune first": 1, "Freeze first": 2}.get(row["Arm"], 0)
            title = row.get("Study", "")
            touched = (title, arm, row["Pair"]) in hurt_runs
            if title in hurt:
                continue
            if new is None and not touched:
                found.append(Failure("others hidden", step.name, "a run is not shown", str(key)))
            elif new is not None:
                names = [n for n in row if not TIMES.search(n) and n != "State"]
                wrong = [n for n in names if new.get(n) != row[n] and new.get(n) not in (None, "")]
                marked = touched and "damaged" in str(new.get("State"))
                if wrong and not marked and not (touched and self._case.has_checksums):
                    what = "wrong number" if touched else "others changed"
                    found.append(Failure(what, step.name, str(wrong), f"{row}\n{new}"))
        return found[:3]

    def _tables(self, step: Step, answer: Answer, reference: Answer) -> list[Failure]:
        """Rows of runs in the tables of a page."""
        study = step.study
        untouched = study not in self._studies
        untouched = untouched and not any(run.startswith(f"{study}/") for run in self._runs)
        now, then = _run_rows(answer), _run_rows(reference)
        if self._case.is_live and not now and "is damaged" in str(answer["errors"]):
            return []  # it was sound when the page began to read it
        if then and not now and untouched:
            said = answer["errors"] + answer["text"]
            return [Failure("others hidden", step.name, "no scores", str(said)[:3000])]
        found = []
        for key, old in then.items():
            new = now.get(key)
            arm = {"Fine-tune first": 1, "Freeze first": 2}.get(key[0], 0)
            run = f"{study}/arm{arm}-pair{int(key[1]):02d}"
            touched = run in self._runs or study in self._studies
            final = old.get("Final", "?")
            if new is None and not touched and final not in str(answer["text"]).replace("\\", ""):
                # One run alone is shown in words, not in a table.
                found.append(Failure("others hidden", step.name, "a sound run left out", run))
            elif new is not None and new != old and not (touched and self._case.has_checksums):
                state = (self._listed or {}).get(run, {}).get("state")
                marked = ", a damaged run" if state == "damaged" else ""
                what = "wrong number" if touched else "others changed"
                found.append(Failure(what, step.name, f"scores{marked}", f"{old}\n{new}"))
        return found[:3]

    def _look(self, step: Step, answer: Answer) -> list[Failure]:
        """A worker finds what waits, whatever lies beside it."""
        expected = self._references[step.key]["run"]
        study = expected.split("/")[0]
        if study in self._studies or any(run.startswith(study) for run in self._runs):
            return []
        if answer["run"] is None:
            return [Failure("others hidden", step.name, "what waits is not found", expected)]
        return []

    def _titles(self) -> dict[str, str]:
        rows = json.loads(self._references[LIST]["out"])
        return {row["run"].split("/")[0]: row["study"] for row in rows}


LIST = json.dumps({"arguments": ["list", "--json"], "do": "command"}, sort_keys=True)


def _stable(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in UNSTABLE}


def _numbered(run: str) -> tuple[int, int]:
    found = re.search(r"arm(\d+)-pair(\d+)", run)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _row_key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row.get("Study"), row["Arm"], row.get("Pair"), row.get("Launched")


def _run_rows(answer: Answer) -> dict[tuple[str, str], dict[str, str]]:
    """Rows of markdown tables that have an arm and a pair, without their times."""
    rows = {}
    for text in answer["text"]:
        lines = text.replace("\\", "").split("\n")
        if not lines[0].startswith("| "):
            continue
        head, *body = [[c.strip() for c in line.strip("|").split(" | ")] for line in lines]
        if "Arm" in head and "Pair" in head:
            for cells in body[1:]:
                row = dict(zip(head, cells, strict=False))
                kept = {n: c for n, c in row.items() if not TIMES.search(n)}
                # Of a run that is not finished any more, its last epoch.
                kept["Final"] = kept.get("Final", "").removeprefix("now ")
                rows[row["Arm"], row["Pair"]] = kept
    return rows


def place(text: str) -> str:
    """The innermost line of the product in a traceback, and the error."""
    # pytest's own checkout may lie anywhere: the product's folders name its files.
    frames = re.findall(
        r'File "[^"]*?((?:tl_engine|ui|pages)/[^"]+|app\.py)", line (\d+), in (\S+)', text
    )
    last = text.strip().splitlines()[-1][:110] if text.strip() else ""
    error = re.sub(r"[0-9a-f]{8,}|/tmp/\S+|\d{4,}", "…", last)
    return f"{frames[-1][0]}:{frames[-1][2]} {error}" if frames else error
