"""The process that looks at a store: one page or one command for each line on standard input.

It answers with a line of JSON on what was standard output when it began. It starts neither workers
nor predictors. A step that takes too long is given up, with the place where it stood; the process
is of no more use then, and says so.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import logging
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 7.0
MEMORY_BYTES = 6 * 2**30
OURS = (f"{PROJECT}/tl_engine", f"{PROJECT}/ui", f"{PROJECT}/pages", f"{PROJECT}/app.py")


class TooLongError(BaseException):
    """Nothing that a product catches."""


class Logged(logging.Handler):
    """Keeps the tracebacks that the pages log."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.found.append("".join(traceback.format_exception(*record.exc_info))[-6000:])


def command(arguments: list[str], patience: float = PATIENCE_SECONDS) -> dict[str, Any]:
    """One command of the engine, in this process."""
    from tl_engine.cli import main

    said, errors = _Stream("strict"), _Stream("backslashreplace")
    code: Any = None
    trouble = ""
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors), _alarm(patience):
        try:
            code = main(arguments)
            said.flush()
        except SystemExit as ended:
            code = ended.code
        except TooLongError:
            raise
        except BaseException:
            trouble = traceback.format_exc()[-6000:]
    return {"code": code, "out": said.text(), "err": errors.text(), "traceback": trouble}


class _Stream(io.TextIOWrapper):
    """Standard output as the system has it: what UTF-8 cannot say is refused."""

    def __init__(self, errors: str) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding="utf-8", errors=errors)

    def text(self) -> str:
        with contextlib.suppress(Exception):
            self.flush()
        return self.bytes.getvalue().decode("utf-8", "replace")


@contextlib.contextmanager
def _alarm(seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TooLongError("".join(traceback.format_stack()[-14:]))

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def page(
    name: str, query: dict[str, str], logged: Logged, patience: float = PATIENCE_SECONDS
) -> dict[str, Any]:
    """One page, as a first visitor sees it."""
    from streamlit.components.v2 import manifest_scanner as scanner
    from streamlit.testing.v1 import AppTest

    logged.found.clear()
    if not hasattr(scanner.scan_component_manifests, "cache_info"):
        # Else all installed packages are looked through at each visit.
        scanner.scan_component_manifests = functools.cache(scanner.scan_component_manifests)
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=patience)
    app.query_params.update(query)
    if name != "app.py":
        app.switch_page(name)
    try:
        app.run()
    except RuntimeError as error:
        if "timed out" in str(error):
            raise TooLongError(_where()) from None
        raise
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "success", "metric")
    text = [f"{e.label} {e.value}" if kind == "metric" else str(e.value)
            for kind in kinds for e in getattr(app, kind)]  # fmt: skip
    return {
        "exceptions": [f"{e.message}\n{e.stack_trace}"[-6000:] for e in app.exception],
        "errors": [str(e.value) for e in app.error],
        "warnings": [str(e.value) for e in app.warning],
        "text": text,
        "frames": [json.loads(_rows(e.value)) for e in app.dataframe],
        "logged": list(logged.found),
    }


def _rows(frame: Any) -> str:
    """Records; of a frame that JSON cannot say, what it shows."""
    try:
        return frame.to_json(orient="records", date_format="iso", default_handler=str)
    except Exception:
        return json.dumps(frame.astype(str).to_dict(orient="records"))


def waiting(root: str) -> dict[str, Any]:
    """What a worker would train next, and its sweep."""
    from tl_engine.runs import RunStore

    with _alarm():
        try:
            store = RunStore(root)
            store.sweep()
            run = store.next_waiting()
        except TooLongError:
            raise
        except BaseException:
            return {"traceback": traceback.format_exc()[-6000:], "run": None}
    return {"traceback": "", "run": run.id if run else None}


def _where() -> str:
    """Where each thread of this process stands in the product."""
    stacks = []
    for identity, frame in sys._current_frames().items():
        if identity != threading.get_ident():
            stack = traceback.extract_stack(frame)
            if any(entry.filename.startswith(OURS) for entry in stack):
                stacks.append("".join(traceback.format_list(stack[-14:])))
    return "\n".join(stacks)


def main() -> None:
    """Answer lines until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    logged = Logged()
    logging.getLogger("thaw").addHandler(logged)
    logging.getLogger("thaw").propagate = False
    _start_nothing()
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        wanted = json.loads(line)
        os.environ["THAW_RUNS_DIR"] = wanted["root"]
        began = time.perf_counter()
        answer: dict[str, Any]
        patience = wanted.get("patience", PATIENCE_SECONDS)
        Models.are_real = wanted.get("predicts", False)
        try:
            if wanted["do"] == "page":
                answer = page(wanted["page"], wanted["query"], logged, patience)
            elif wanted["do"] == "command":
                more = ["--runs-dir", wanted["root"]]
                answer = command([*wanted["arguments"], *more], patience)
            else:
                answer = waiting(wanted["root"])
        except TooLongError as error:
            answer = {"hang": str(error)}
        except BaseException:
            answer = {"broken": traceback.format_exc()[-6000:]}
        answer["seconds"] = time.perf_counter() - began
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class Models:
    """Answers in the place of the process that classifies, which takes seconds to start: a model's
    file is read and checked, and every class is as likely as another."""

    are_real = False

    @classmethod
    def install(cls) -> None:
        """Answer in its place from now on, but where `are_real`."""
        import numpy as np

        from tl_engine.errors import ThawError
        from tl_engine.execution.predictor import Predictor, Request
        from tl_engine.runs import RunStore
        from tl_engine.runs.run_outputs import model_bytes

        exchange = Predictor._exchange

        def answer(self: Predictor, request: Request) -> Any:
            if cls.are_real:
                return exchange(self, request)
            try:
                model_bytes(RunStore(os.environ["THAW_RUNS_DIR"]).run(request.run), "keras")
            except ThawError as error:
                return str(error), {}
            images = request.arrays["images"]
            return "", {
                "probabilities": np.full((len(images), 10), 0.1, np.float32),
                "images": np.zeros_like(images),
            }

        Predictor._exchange = answer  # type: ignore[method-assign]
        Predictor.start = lambda self: None  # type: ignore[method-assign]


def _start_nothing() -> None:
    import streamlit.testing.v1  # noqa: F401 - so that no step pays for it

    from tests.launches import RecordingLauncher
    from tl_engine.execution.launcher import LAUNCHERS

    LAUNCHERS["local"] = RecordingLauncher()
    Models.install()


if __name__ == "__main__":
    main()
