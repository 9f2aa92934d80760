"""Launchers: what starts the processes that train, measure and evaluate, and what ends them.

`THAW_LAUNCHER` names the one to use; without it, processes are started on this machine. A further
launcher is a class of its own module, and a line of `LAUNCHERS`.
"""

from __future__ import annotations

import os
from typing import Protocol

from tl_engine.data.registry import checked_study
from tl_engine.errors import CatalogError
from tl_engine.execution.local import LocalLauncher
from tl_engine.runs import Run, RunStore, StudyFolder
from tl_engine.runs.run_requests import enqueue
from tl_engine.storage.lease import Holding
from tl_engine.study import Study

DEFAULT = "local"


class Launcher(Protocol):
    """Starts and ends processes; they outlive the one that asks for them."""

    def start(
        self, store: RunStore, command: str, *arguments: str, holding: Holding | None = None
    ) -> None:
        """Start `python -m tl_engine COMMAND ...` on a store, and return at once.

        Args:
            holding: of a lease that the command goes on with; this process gives it up. The
                command's output goes to the store's worker log, and is dropped without a holding.
        """

    def ensure_worker(self, store: RunStore) -> None:
        """Make sure that a worker trains what waits in the store's queue; does nothing where one
        lives or nothing waits."""

    def end_process(self, run: Run) -> None:
        """Kill the process that trains a run and does not respond; the run keeps what it committed.

        Raises:
            StoreError: where no process trains it.
        """


LAUNCHERS: dict[str, Launcher] = {DEFAULT: LocalLauncher()}


def launcher() -> Launcher:
    """The configured launcher.

    Raises:
        CatalogError: where THAW_LAUNCHER names none.
    """
    name = os.environ.get("THAW_LAUNCHER") or DEFAULT
    if name not in LAUNCHERS:
        raise CatalogError(f"THAW_LAUNCHER is one of {', '.join(LAUNCHERS)}, got {name!r:.60}.")
    return LAUNCHERS[name]


def launch(study: Study, store: RunStore) -> StudyFolder:
    """Queue a study's runs, make sure that a worker lives, and return at once.

    Raises:
        RecipeError: for what cannot be trained, such as on a dataset that is gone.
        CatalogError: where THAW_LAUNCHER names no launcher; nothing is queued in either case.
    """
    starter, folder = launcher(), store.create(checked_study(study))
    starter.ensure_worker(store)
    return folder


def resume(run_id: str, store: RunStore) -> None:
    """Queue a run again that was stopped, failed or interrupted: it goes on from its last
    committed epoch.

    Raises:
        StoreError: for a run that is queued, running or finished.
        CatalogError: as in `launch`.
    """
    starter = launcher()
    enqueue(store.run(run_id))
    starter.ensure_worker(store)
