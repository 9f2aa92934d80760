"""Where it is kept: RunStore, StudyFolder, Run; the only folder that knows the names under runs/.

    runs/<study id>/study.json        what was asked; immutable
                    label.json        title and note, as people last edited them (may be missing)
                    openings.jsonl    a line each time the test split was opened (missing: never)
                    test/, robustness/  of the process that asks finished runs: lock, pulse, stop
                    <run id>/         arm1-pair01, arm2-pair01 ...
      recipe.json         recipe, arm, pair, seeds, threads, versions: immutable
      queued              exists while the run waits for a worker
      lock                held by the living worker
      stop                exists once somebody asked the run to stop
      pulse               where its process is and that it moves; renewed every second in place
      attempts.jsonl      a line per process that trained it: when, from which epoch and batch,
                          and what those before it took
      environment.json    machine, device, versions, data fingerprint: what those processes met
      history.jsonl       a line per epoch
      checkpoint.json     names the files of the last commit; its rename is the commit
      model-*.npz         all variables of the model, by index
      free-*.npz          those that may have changed since, where a phase leaves others alone
      optimizer-*.npz     all variables of the optimizer, likewise (gone once finished)
      probabilities.npz   float16 class probabilities of every validation image
      scores.json         counts, loss and confusion of validation, audit and timings per phase
      model.keras         the model for Keras, preprocessing inside; model.h5 if asked for
      log.txt             standard output and error of the run's process
      outcome.json        how it ended; missing while it has not
      test.json, test.npz   the same of the test split; missing until somebody opens it
      robustness.json     counts of corrupted validation images; missing until somebody asks
      quarantine/         what was damaged and set aside when the run began again
    runs/evidence.jsonl               what deleted studies had asked, computed and opened
    runs/measurements.jsonl           how long steps take on this machine
    runs/.cache/                      features and ends of phases: may be deleted at any time
    runs/worker.lock, slot.lock, worker.txt

JSON objects and lines carry checksums (`files.py`), arrays are named with their sha256 by such
a file.
A missing file has a meaning and the meaning stands above. Every file has one writer: the app
writes study.json, label.json, recipe.json, queued and stop; the process that asks finished runs
writes openings, test and robustness; the worker writes the rest.
"""

from tl_engine.runs.checkpoint import Checkpoint
from tl_engine.runs.claimed import ClaimedRun, GaveUp, Stopped
from tl_engine.runs.evaluation_results import Evaluation
from tl_engine.runs.history import COSTS, HISTORY_COLUMNS, epoch_line
from tl_engine.runs.joined_history import joined_history, split_sound
from tl_engine.runs.run import Best, Run, RunState
from tl_engine.runs.store import RunStore
from tl_engine.runs.study_evaluation import StudyEvaluation
from tl_engine.runs.study_folder import StudyFolder
from tl_engine.runs.summary import Summary, summarise
from tl_engine.runs.test_access import TestSetAccess
from tl_engine.storage.cache import Cache
from tl_engine.storage.feature_cache import Features

__all__ = [
    "COSTS",
    "HISTORY_COLUMNS",
    "Best",
    "Cache",
    "Checkpoint",
    "ClaimedRun",
    "Evaluation",
    "Features",
    "GaveUp",
    "Run",
    "RunState",
    "RunStore",
    "Stopped",
    "StudyEvaluation",
    "StudyFolder",
    "Summary",
    "TestSetAccess",
    "epoch_line",
    "joined_history",
    "split_sound",
    "summarise",
]
