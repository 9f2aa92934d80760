"""What a store holds: RunStore, StudyFolder, Run; the only folder that knows names under runs/.

    runs/<study id>/study.json        the question; immutable
                    label.json        title and note, as people last edited them (may be missing)
                    openings.jsonl    a line for each access to the test split (missing: none)
                    test/, robustness/  of the process that evaluates finished runs: lock, pulse,
                                        stop
                    <run id>/         arm1-pair01, arm2-pair01 ...
      recipe.json         recipe, arm, pair, seeds, threads, versions: immutable
      queued              exists while the run waits for a worker
      lock                held by the living worker
      stop                exists once somebody requested that the run stops
      pulse               the heartbeat of its process; overwritten every second
      attempts.jsonl      a line per process that trained it: when, from which epoch and batch,
                          and the seconds of those before it
      environment.json    machine, device, versions, data fingerprint of those processes
      history.jsonl       a line per epoch
      checkpoint.json     names the files of the last commit; its rename is the commit
      model-*.npz         all variables of the model, by index
      free-*.npz          those that may have changed since, where a phase leaves others alone
      optimizer-*.npz     all variables of the optimizer, likewise (gone once finished)
      probabilities.npz   float16 class probabilities of every validation image
      scores.json         counts, loss and confusion of validation, audit and timings per phase
      model.keras         the model for Keras, preprocessing inside; model.h5 where exported
      log.txt             standard output and error of the run's process
      outcome.json        how it ended; missing while it has not
      test.json, test.npz   the same as scores and probabilities, of the test split; missing until
                          somebody opens it
      robustness.json     counts of corrupted validation images; missing until somebody measures it
      quarantine/         damaged files, set aside when the run began again
    runs/evidence.jsonl               what deleted studies asked, computed and opened
    runs/measurements.jsonl           how long steps take on this machine
    runs/.cache/                      features and ends of phases: may be deleted at any time
    runs/worker.lock, slot.lock, worker.txt

JSON objects and lines carry checksums (`storage.record_files`) and have a shape (`layout`); arrays
are named with their sha256 by such a file. A missing file has a meaning, which stands above.
Every file has one writer: the app writes study.json, label.json, recipe.json, queued and stop; the
process that evaluates finished runs writes openings, test and robustness; the worker the rest.

In layers, each imports only those before it: `layout`, `heartbeat`, `checkpoint`, `phase_ends`,
`run_state`; `study_record`; `run`; `run_outputs`, `summary`, `observations`, `claimed`; `studies`,
`pilot`; `evaluations`, `ledger`, `test_access`; `evidence`; `run_requests`; `store`. Of the rest of
the engine they import the core nouns (recipe, study, metric, machine, errors, text), `storage`, and
the values of `analysis.pooling`.
"""

from tl_engine.runs.checkpoint import Checkpoint
from tl_engine.runs.claimed import ClaimedRun, GaveUp, Stopped
from tl_engine.runs.evaluations import Evaluation, StudyEvaluation
from tl_engine.runs.observations import joined_history, split_sound
from tl_engine.runs.run import Run
from tl_engine.runs.run_state import COSTS, HISTORY_COLUMNS, RunState, epoch_line
from tl_engine.runs.store import RunStore
from tl_engine.runs.studies import StudyFolder
from tl_engine.runs.summary import Summary, summarise
from tl_engine.runs.test_access import TestSetAccess
from tl_engine.storage.cache import Cache
from tl_engine.storage.feature_cache import Features

__all__ = [
    "COSTS",
    "HISTORY_COLUMNS",
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
