"""The engine as the pages share it: one store, one predictor."""

from __future__ import annotations

import streamlit as st

from tl_engine.execution.predictor import Predictor
from tl_engine.machine import default_runs_folder
from tl_engine.runs import RunStore


def store() -> RunStore:
    """The store that this server shows."""
    return RunStore(default_runs_folder())


@st.cache_resource(max_entries=1, show_spinner=False, on_release=Predictor.close)
def predictor(root: str) -> Predictor:
    """The one process that classifies for all visitors."""
    return Predictor(RunStore(root))
