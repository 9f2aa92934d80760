"""The bits of all that a run computed, to compare runs that have to be the same."""

from __future__ import annotations

import hashlib
import json

from tl_engine.errors import StoreError
from tl_engine.runs import COSTS, Run, RunState
from tl_engine.runs.run_outputs import model_arrays, probabilities


def bits(run: Run) -> str:
    """The sha256 of its variables, metrics, probabilities and audits, in hex.

    Raises:
        StoreError: for a run that has not finished.
    """
    if run.state is not RunState.FINISHED:
        raise StoreError(f"Run {run.id} is {run.state.value}: {run.sentence}")
    digest = hashlib.sha256()
    for arrays in (model_arrays(run), probabilities(run)):
        for name, array in sorted(arrays.items()):
            digest.update(f"{name}{array.dtype}{array.shape}".encode() + array.tobytes())
    for epoch in run.epochs():
        computed = {name: value for name, value in epoch.items() if name not in COSTS}
        digest.update(json.dumps(computed, sort_keys=True).encode())
    audits = [phase["audit"] for phase in run.scores["phases"]]
    digest.update(json.dumps([audits, run.scores["splits"]], sort_keys=True).encode())
    return digest.hexdigest()
