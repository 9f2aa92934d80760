"""Thaw's engine: recipes in, trained and comparable runs out; loads neither Keras nor Streamlit."""

from tl_engine.errors import ThawError
from tl_engine.execution.launcher import launch, resume
from tl_engine.execution.predictor import Prediction, Predictor
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import Run, RunState, RunStore, StudyFolder
from tl_engine.study import Arm, Seeds, Study

__all__ = [
    "Arm",
    "Phase",
    "Prediction",
    "Predictor",
    "Recipe",
    "Run",
    "RunState",
    "RunStore",
    "Seeds",
    "Study",
    "StudyFolder",
    "ThawError",
    "launch",
    "resume",
]
