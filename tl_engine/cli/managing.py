"""Commands that manage: the pages, a study's title, note and end, step times, reliability."""

import argparse
import json
import os
import sys
import tempfile
from typing import NoReturn

from tl_engine.cli.printing import confirm, say
from tl_engine.errors import Problem, RecipeError, StoreError
from tl_engine.execution import cost
from tl_engine.execution.kill_test import kill_test
from tl_engine.machine import RUNS_DIR, app_script
from tl_engine.recipe import Recipe
from tl_engine.runs import RunStore
from tl_engine.text import is_writable, plain


def app(options: argparse.Namespace, store: RunStore) -> NoReturn:
    """Start the pages in a browser."""
    # Streamlit takes its configuration from beside app.py.
    words = [sys.executable, "-m", "streamlit", "run", str(app_script()), *options.more]
    os.execve(sys.executable, words, {**os.environ, RUNS_DIR: str(store.root)})  # noqa: S606


def rename(options: argparse.Namespace, store: RunStore) -> int:
    """Change what a study is called."""
    store.study(options.study).label(title=_writable(options.title))
    return 0


def note(options: argparse.Namespace, store: RunStore) -> int:
    """Write what a study taught you."""
    store.study(options.study).label(note=_writable(options.text))
    return 0


def _writable(text: str) -> str:
    if not is_writable(text):
        raise StoreError(f"A title or note is made of Unicode characters, got {text!r:.60}.")
    return text


def delete(options: argparse.Namespace, store: RunStore) -> int:
    """Delete a study with all its runs; asks first, and refuses while one is running."""
    if "/" in options.study.strip("/"):
        raise StoreError(
            f"A study is deleted with all its runs, no run alone: delete STUDY, got "
            f"{options.study!r:.60}."
        )
    study = store.study(options.study)
    title, runs = study.id, 0
    if study.is_readable:
        title, runs = f"{study.id} ({plain(study.title)})", len(study.runs())
        if any(run.state.is_alive for run in study.runs()):
            raise StoreError(f"{title} is running: stop it first, then delete it.")
    confirm(options, f"Delete {title} with its {runs} runs for ever?", "Nothing was deleted.")
    store.delete(study.id)
    return 0


def measure(options: argparse.Namespace, store: RunStore) -> int:
    """Measure step times here (Launch does it for you)."""
    cost.measure(store, [_recipe(text) for text in options.recipes])
    return 0


def _recipe(text: str) -> Recipe:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        sentence = f"A recipe is a JSON object with phases and settings, got {text!r:.60}."
        raise RecipeError([Problem("recipe", sentence)])
    return Recipe.from_dict(data)


def kill(options: argparse.Namespace, store: RunStore) -> int:
    """Kill training at random: nothing may get lost."""
    with tempfile.TemporaryDirectory(prefix=".kill-test-", dir=store.root) as folder:
        events = kill_test(RunStore(folder), options.kills, options.seed)
        while True:
            try:
                print(next(events), file=sys.stderr)
            except StopIteration as ended:
                report = ended.value
                break
    say(options, {**vars(report), "seed": options.seed}, f"{report} Seed {options.seed}.")
    return 0 if report.is_clean else 1
