"""The engine as the pages share it: one store, one predictor."""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st

from tl_engine.execution.predictor import Predictor
from tl_engine.runs import RunStore

RUNS = "THAW_RUNS_DIR"
"""Environment variable that puts the studies elsewhere than in runs/ beside app.py."""
PROJECT = Path(__file__).resolve().parents[1]


def store() -> RunStore:
    """The store that this server shows."""
    return RunStore(os.environ.get(RUNS, PROJECT / "runs"))


@st.cache_resource(max_entries=1, show_spinner=False, on_release=Predictor.close)
def predictor(root: str) -> Predictor:
    """The one process that classifies for all visitors."""
    return Predictor(RunStore(root))
