"""The command line: the same engine without a browser.

Exit codes: 0 all went well; 1 a run failed, was stopped or died; 2 something was refused (a
setting, an id, a picture); 130 Ctrl-C, which leaves training going on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tl_engine.analysis.robustness import Robustness
from tl_engine.analysis.scores import arm_summary, score_table
from tl_engine.analysis.settings import differences
from tl_engine.catalog.datasets import dataset
from tl_engine.catalog.presets import PRESETS, compose, preset
from tl_engine.errors import Problem, RecipeError, ThawError
from tl_engine.evaluation import evaluate
from tl_engine.images import fit, read_image
from tl_engine.judgement import arms_of, judge, question_of, table_of, why_none
from tl_engine.launchers.local import ensure_worker, launch, resume
from tl_engine.machine import recommended_settings
from tl_engine.over_images import with_images
from tl_engine.predictor import Predictor, ranked
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import Evaluation, Run, RunState, RunStore, joined_history, summarise
from tl_engine.runs.claimed import FULL, REFUSED
from tl_engine.runs.openings import count
from tl_engine.study import Study
from tl_engine.text import plain

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = """\
examples:
  python -m tl_engine run --preset try-it            both orders, about a minute
  python -m tl_engine run --phase head:4:1e-3 --phase all:2:1e-5 --reverse --pairs 3
  python -m tl_engine list                           every run and how it stands
  python -m tl_engine compare STUDY                  verdicts, scores, settings that differ
  python -m tl_engine open-test STUDY                the test split, when all is chosen
  python -m tl_engine classify STUDY/arm1-pair01 photo.jpg

exit codes: 0 well, 1 a run did not finish, 2 refused (the sentence says why), 130 Ctrl-C
"""
POLL_SECONDS = 0.5
RUNS_DIR = Path(os.environ.get("THAW_RUNS_DIR", "runs"))
"""The app's own variable, so that both look at the same studies."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options, RunStore(options.runs_dir))
    except RecipeError as error:
        for problem in error.problems:
            print(f"{problem.field}: {problem.sentence}", file=sys.stderr)
        return 2
    except ThawError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in FULL + REFUSED:
            raise
        print(
            f"The disk refuses to be written: {error.strerror}. What was kept stays as it was; "
            "make room, then try again.",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("\nTraining goes on; `python -m tl_engine list` shows it.", file=sys.stderr)
        return 130


def run(options: argparse.Namespace, store: RunStore) -> int:
    """Launch a study and follow it to its end."""
    folder = launch(study_from(options), store)
    if options.detach:
        _say(options, {"study": folder.id}, f"Launched {folder.id}")
        return 0
    print(f"{folder.id}: {plain(folder.title)}", file=sys.stderr)
    return _follow(options, store, folder.runs())


def resume_run(options: argparse.Namespace, store: RunStore) -> int:
    """Queue a run again and follow it to its end."""
    resume(options.run, store)
    return _follow(options, store, [store.run(options.run)])


def list_runs(options: argparse.Namespace, store: RunStore) -> int:
    """Print every run, newest study first."""
    for study in [*store.unreadable(), *store.studies()]:
        if study.damage:
            print(f"{study.id}: {study.damage}", file=sys.stderr)
    rows = [summary(run) for run in store.runs()]
    if options.json:
        return _print_json(rows)
    if not rows:
        print("No runs yet: start with `python -m tl_engine run --preset try-it`.")
    _print_table(
        ["run", "arm", "state", "epoch", "validation accuracy", "best (epoch)", "seconds"],
        [
            [
                row["run"],
                row["arm"],
                row["state"],
                f"{row['epoch']}/{row['epochs']}",
                _percent(row["val_accuracy"]),
                f"{_percent(row['best'])} ({row['best_epoch']})" if row["best"] else "",
                _number(row["seconds"]),
            ]
            for row in rows
        ],
    )
    return 0


def show(options: argparse.Namespace, store: RunStore) -> int:
    """Print one run: what was asked, every epoch, the scores, the audit."""
    run = store.run(options.run)
    facts = {
        **summary(run),
        "sentence": run.sentence,
        "asked": run.asked,
        "environments": run.environments,
        "bit_comparable": run.is_bit_comparable,
        "bytes_on_disk": run.bytes_on_disk(),
        "history": run.epochs(),
        "scores": run.scores,
    }
    if options.json:
        return _print_json(facts)
    print(f"{run.id}: {plain(run.study.title)}, {plain(run.arm)}, pair {run.pair}")
    print(f"{run.state.value}. {facts['sentence']}")
    print("\n".join(f"  {name}: {value}" for name, value in settings_of(run.recipe).items()))
    columns = ["epoch", "trainable", "learning_rate", "seconds", "loss", "accuracy"]
    columns += ["val_loss", "val_accuracy"]
    lines = [[_number(epoch[name]) for name in columns] for epoch in run.epochs()]
    _print_table(columns, lines)
    for phase in run.scores.get("phases", []):
        audit = phase["audit"]
        print(
            f"phase {phase['phase'] + 1} ({phase['trainable']}): {audit['frozen']:,} frozen "
            f"parameters, {audit['frozen_changed']:,} changed"
        )
    if not run.is_bit_comparable:
        print("It went on under other versions or on another machine: not bit-comparable.")
    if run.state is RunState.FAILED:
        print(run.log_tail())
    return 0


def compare(options: argparse.Namespace, store: RunStore) -> int:
    """Print verdicts on several runs or studies, their scores and the settings that differ."""
    runs = store.select(options.ids)
    table = score_table(joined_history(runs), {run.id: validation_images(run) for run in runs})
    settings = differences({run.arm: run.recipe.to_dict() for run in runs})
    arms, verdicts = arm_summary(table), _verdicts(runs, table, options.any_budget)
    if options.json:
        settings = settings.reset_index()
        parts = {"runs": table, "arms": arms, "verdicts": verdicts, "settings": settings}
        rows = {name: json.loads(t.to_json(orient="records")) for name, t in parts.items()}
        digests = {run.study.id: run.study.study.digest for run in runs}
        return _print_json({"studies": digests, **rows})
    print("Validation accuracy per run\n", table.to_string(index=False), sep="")
    print("\nPer arm\n", arms.to_string(index=False), sep="")
    print("\nVerdicts", *verdicts["verdict"], sep="\n")
    _print_beside(verdicts)
    print("\nSettings that differ\n", settings.to_string() if len(settings) else "none", sep="")
    return 0


def _verdicts(runs: list[Run], scored: pd.DataFrame, any_budget: bool) -> pd.DataFrame:
    """A row per contrast of the arms, or the one sentence why there is none."""
    import pandas as pd

    arms = arms_of(runs)
    reason = "One arm: nothing to compare it with." if len(arms) < 2 else why_none(arms)
    if reason:
        return pd.DataFrame([{"verdict": reason}])
    history, question = joined_history(runs), question_of(arms, scored)
    judged = judge(arms, scored, history, question, any_budget=any_budget)
    return with_images(table_of(arms, judged), arms, judged, question)


def _print_beside(verdicts: pd.DataFrame) -> None:
    """What stands beside each verdict: the health check, and the interval over images."""
    if "health" in verdicts:
        print("\nHealth check")
        for row in verdicts.itertuples():
            print(f"{row.first} against {row.second}, {row.health}: {row.health_says}")
        print("\nOver seeds, and over images", *filter(None, verdicts["over_images"]), sep="\n")


def classify(options: argparse.Namespace, store: RunStore) -> int:
    """Classify picture files with a finished run."""
    run = store.run(options.run)
    data = dataset(run.recipe.dataset)
    results: list[dict[str, Any]] = []
    with Predictor(store) as predictor:
        for file in options.pictures:
            try:
                pixels = fit(read_image(file.read_bytes()), data, invert=options.invert)
            except OSError as error:
                raise ThawError(f"{file} cannot be read: {error.strerror}.") from error
            answer = predictor.classify(run, pixels[None])
            top = ranked(answer.probabilities[0], data.class_names)
            results.append({"picture": str(file), "top": [vars(p) for p in top]})
    if options.json:
        return _print_json(results)
    for result in results:
        print(result["picture"])
        for prediction in result["top"]:
            print(f"  {prediction['probability']:7.2%}  {prediction['label']}")
    return 0


def export(options: argparse.Namespace, store: RunStore) -> int:
    """Keep a finished run's model as model.h5 too, as the article saves it."""
    from tl_engine.learning.prediction import export_h5

    run = store.run(options.run)
    export_h5(run)
    print(run.h5_file)
    return 0


def open_test(options: argparse.Namespace, store: RunStore) -> int:
    """Measure a study's finished runs on its test split; each opening is counted."""
    return _evaluate(options, store, Evaluation.TEST, [options.study])


def robustness(options: argparse.Namespace, store: RunStore) -> int:
    """Measure finished runs on corrupted validation images."""
    return _evaluate(options, store, Evaluation.ROBUSTNESS, options.ids)


def stop(options: argparse.Namespace, store: RunStore) -> int:
    """Ask runs to stop at their next batch."""
    for run in store.select(options.ids):
        if not run.state.is_over:
            run.request_stop()
            print(f"{run.id} stops", file=sys.stderr)
    return 0


def worker(options: argparse.Namespace, store: RunStore) -> int:
    """Train what is queued, then wait a while for more."""
    from tl_engine.worker import main as work

    work(store.root, options.linger, options.lock)
    return 0


def measure(options: argparse.Namespace, store: RunStore) -> int:
    """Measure how long steps take on this machine, for estimates."""
    from tl_engine.worker import measure as measure_here

    measure_here(store, [Recipe.from_dict(json.loads(text)) for text in options.recipes])
    return 0


def torture(options: argparse.Namespace, store: RunStore) -> int:
    """Kill training at random in a store of its own, and compare with an undisturbed run."""
    from tl_engine.torture import torture as torture_runs

    with tempfile.TemporaryDirectory(prefix=".torture-", dir=store.root) as folder:
        events = torture_runs(RunStore(folder), options.kills, options.seed)
        while True:
            try:
                print(next(events), file=sys.stderr)
            except StopIteration as ended:
                report = ended.value
                break
    _say(options, {**vars(report), "seed": options.seed}, f"{report} Seed {options.seed}.")
    return 0 if report.is_clean else 1


def study_from(options: argparse.Namespace) -> Study:
    """The study that the options describe: a preset, changed.

    Raises:
        RecipeError, CatalogError: for what cannot be trained.
    """
    base = preset(options.preset)
    settings = {**base.settings, **dict(map(_setting, options.set))}
    augmented = settings.get("augmentation") is True
    settings = {**recommended_settings(augmentation=augmented), **settings}
    orders = [tuple(map(_phase, options.phase))] if options.phase else base.orders
    reverse = options.reverse or (base.reverse and not options.phase)
    title = options.title or base.title
    pairs, changed = options.pairs or base.pairs, dict(map(_setting, options.set))
    varied = {name: values for name, values in base.varied.items() if name not in changed}
    return compose(title, settings, orders, reverse, pairs, varied)


def summary(run: Run) -> dict[str, Any]:
    """One run in a line."""
    known = summarise(run)
    return {
        "run": run.id,
        "study": run.study.title,
        "arm": run.arm,
        "pair": run.pair,
        "order": known.recipe.order if known.recipe else None,
        "state": known.state.value,
        "sentence": known.sentence,
        "epoch": len(known.accuracies),
        "epochs": known.recipe.total_epochs if known.recipe else None,
        "val_accuracy": known.last,
        "best": known.best.accuracy if known.best else None,
        "best_epoch": known.best.epoch if known.best else None,
        "seconds": known.seconds,
    }


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """The recipe in lines for people."""
    phases = ", then ".join(
        f"{p.trainable_label} x {p.epochs} at {p.learning_rate:g} ({p.optimizer})"
        for p in recipe.phases
    )
    return {**recipe.to_dict(), "phases": phases}


def validation_images(run: Run) -> int:
    """How many images its validation accuracy counts."""
    from tl_engine.work import sizes_of

    return sizes_of(run.recipe).validation


def _evaluate(
    options: argparse.Namespace, store: RunStore, kind: Evaluation, ids: list[str]
) -> int:
    """Measure the runs that the ids name, study by study, and print what that gave."""
    from tl_engine.worker import NICENESS

    runs = store.select(ids)
    os.nice(NICENESS)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    answered = True
    for study_id in dict.fromkeys(run.study.id for run in runs):
        chosen = [run for run in runs if run.study.id == study_id]
        study = chosen[0].study
        told = _Teller(study_id)
        try:
            ended = evaluate(store, study, kind, chosen, taken=options.lock, told=told)
        except KeyboardInterrupt:
            print("\nWhat was measured is kept; the same command goes on.", file=sys.stderr)
            return 130
        if ended:
            answered = False
            print(f"{study_id}: {ended}", file=sys.stderr)
    said = {run.id: run.answer(kind) for run in runs}
    if options.json:
        _print_json(said)
    elif kind is Evaluation.TEST:
        times = count(runs[0].study.openings()) if runs else 0
        print(f"The test split was opened {times} time{'' if times == 1 else 's'}.")
        rows = [[i, f"{a['correct']:,} of {a['total']:,}"] for i, a in said.items() if a]
        _print_table(["run", "test images right"], rows)
    else:
        shown = {i: Robustness.of(a) for i, a in said.items() if a}
        rows = [[i, f"{r.clean:.1%}", f"{r.mean:.1%}"] for i, r in shown.items()]
        _print_table(["run", "as they are", "mean of all corruptions"], rows)
    return 0 if answered else 1


class _Teller:
    """Prints where an evaluation is, when it comes to another run."""

    def __init__(self, study_id: str) -> None:
        self._study_id, self._last = study_id, ""

    def __call__(self, progress: dict[str, Any]) -> None:
        where = f" {progress['run']} of {progress['runs']}" if "run" in progress else ""
        line = progress.get("stage", "") + where
        if line and line != self._last:
            left = progress.get("seconds_left")
            more = f", about {left:.0f} s left" if left else ""
            print(f"{self._study_id}: {line}{more}", file=sys.stderr, flush=True)
            self._last = line


def _follow(options: argparse.Namespace, store: RunStore, runs: list[Run]) -> int:
    """Print epochs as they come, until every run is over."""
    told = dict.fromkeys((run.id for run in runs), 0)
    while True:
        states = [run.state for run in runs]
        for run in runs:
            for epoch in run.epochs()[told[run.id] :]:
                told[run.id] += 1
                print(
                    f"{plain(run.arm)}, pair {run.pair}: epoch {epoch['epoch']}/"
                    f"{run.recipe.total_epochs} ({epoch['trainable']}), validation accuracy "
                    f"{epoch['val_accuracy']:.1%}, {epoch['seconds']:.1f} s",
                    file=sys.stderr,
                )
        if all(state.is_over for state in states):
            break
        ensure_worker(store)
        time.sleep(POLL_SECONDS)
    rows = [summary(run) for run in runs]
    for run in runs:
        if run.state is not RunState.FINISHED:
            print(f"{run.id} {run.state.value}: {run.sentence}", file=sys.stderr)
    _say(
        options,
        {"study": runs[0].study.id, "runs": rows},
        "\n".join(
            f"{row['run']}  {plain(row['arm'])}: {_percent(row['val_accuracy'])}" for row in rows
        ),
    )
    return 0 if all(run.state is RunState.FINISHED for run in runs) else 1


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"a whole number from 1 on, got {text!r}")
    return int(text)


def _phase(text: str) -> Phase:
    parts = text.split(":")
    try:
        trainable, epochs, learning_rate, *rest = parts
        layers: str | int = int(trainable) if trainable.isdecimal() else trainable
        optimizer, schedule, patience = (*rest, *("adam", "constant", "0")[len(rest) :])
        falls = (optimizer, schedule, int(patience) or None)
        return Phase(layers, int(epochs), float(learning_rate), *falls)
    except (ValueError, TypeError):
        raise RecipeError(
            [
                Problem(
                    "phase",
                    "A phase reads TRAINABLE:EPOCHS:LEARNING_RATE[:OPTIMIZER[:SCHEDULE"
                    f"[:PATIENCE]]], such as all:2:1e-5, got {text!r}.",
                )
            ]
        ) from None


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or name == "phases" or name not in Recipe.__dataclass_fields__:
        known = ", ".join(sorted(set(Recipe.__dataclass_fields__) - {"phases"}))
        sentence = f"A setting reads NAME=VALUE with NAME one of {known}; got {text!r}."
        raise RecipeError([Problem("set", sentence)])
    words = {"true": True, "false": False, "all": None, "none": None}
    if value.lower() in words:
        return name, words[value.lower()]
    return name, int(value) if value.isdecimal() else value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tl_engine",
        description="Thaw without a browser: which order of phases is better for your images?",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--runs-dir", type=Path, default=RUNS_DIR, help="where studies are kept (runs/)"
    )
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="print JSON on standard output")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Any, help: str, *parents: Any) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, parents=[shared, *parents], help=help, description=help)
        sub.set_defaults(command=command)
        return sub

    running = add("run", run, "train a study and follow it to its end", as_json)
    _add_study_options(running)
    running.add_argument("--detach", action="store_true", help="return at once")
    add("list", list_runs, "every run and how it stands", as_json)
    add("show", show, "one run, epoch by epoch", as_json).add_argument("run", metavar="STUDY/RUN")
    comparing = add("compare", compare, "verdicts, scores, settings that differ", as_json)
    comparing.add_argument("ids", nargs="+", metavar="STUDY[/RUN]")
    comparing.add_argument(
        "--any-budget", action="store_true", help="verdicts on arms that cost differently too"
    )
    classifying = add("classify", classify, "classify pictures with a finished run", as_json)
    classifying.add_argument("run", metavar="STUDY/RUN")
    classifying.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE")
    classifying.add_argument("--invert", action="store_true", help="swap dark and light first")
    exporting = add("export", export, "keep a finished run's model as model.h5 too")
    exporting.add_argument("run", metavar="STUDY/RUN")
    opening = add("open-test", open_test, "open the test split of a study (counted)", as_json)
    opening.add_argument("study", metavar="STUDY")
    spoiling = add("robustness", robustness, "finished runs on corrupted images", as_json)
    spoiling.add_argument("ids", nargs="+", metavar="STUDY[/RUN]")
    for evaluating in (opening, spoiling):
        evaluating.add_argument("--lock", type=int, help=argparse.SUPPRESS)
    stopping = add("stop", stop, "ask runs to stop at their next batch")
    stopping.add_argument("ids", nargs="+", metavar="STUDY[/RUN]")
    resuming = add("resume", resume_run, "go on with a run from its last epoch", as_json)
    resuming.add_argument("run", metavar="STUDY/RUN")
    working = add("worker", worker, "train what is queued (started for you by run)")
    working.add_argument(
        "--linger", type=float, default=60.0, metavar="SECONDS", help="wait for more (60)"
    )
    working.add_argument("--lock", type=int, help=argparse.SUPPRESS)
    torturing = add("torture", torture, "kill training at random: nothing may get lost", as_json)
    torturing.add_argument("--kills", type=_count, default=30, metavar="N", help="how often (30)")
    torturing.add_argument(
        "--seed", type=int, default=1, metavar="S", help="decides whom and when (1)"
    )
    measuring = add("measure", measure, "measure step times here (Launch does it for you)")
    measuring.add_argument("recipes", nargs="+", metavar="RECIPE_AS_JSON")
    return parser


def _add_study_options(parser: argparse.ArgumentParser) -> None:
    names = "; ".join(f"{p.name}: {p.description}" for p in PRESETS.values())
    parser.add_argument("--preset", default="try-it", help=f"where to start. {names}")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change a setting, such as train_images=500, dataset=cifar10, pretrained=false",
    )
    parser.add_argument(
        "--phase",
        action="append",
        default=[],
        metavar="TRAINABLE:EPOCHS:RATE[:OPTIMIZER[:SCHEDULE[:PATIENCE]]]",
        help="the phases of one arm, in order, instead of the preset's: all:2:1e-5, head:4:1e-3, "
        "3:1:1e-4 (top 3 blocks), head:20:1e-3:adam:cosine:3 (ends after 3 epochs without gain)",
    )
    parser.add_argument("--reverse", action="store_true", help="add the reversed order as an arm")
    parser.add_argument("--pairs", type=int, help="number of paired seeds")
    parser.add_argument("--title", help="what to call the study")


def _say(options: argparse.Namespace, value: Any, text: str) -> None:
    print(json.dumps(value, indent=1) if options.json else text)


def _print_json(value: Any) -> int:
    print(json.dumps(value, indent=1))
    return 0


def _print_table(columns: list[str], rows: list[list[str]]) -> None:
    if not rows:
        return
    wide = shutil.get_terminal_size((160, 24)).columns
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in [columns, *rows]:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(line.rstrip()[: max(wide, 160)])


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _number(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
