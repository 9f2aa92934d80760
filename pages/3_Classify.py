"""Classify: validation images, a file or the camera, with one model or two."""

from functools import partial

import numpy as np
import streamlit as st

from tl_engine.catalog.datasets import Dataset
from tl_engine.charts.html_pictures import top_bars
from tl_engine.charts.style import ARMS
from tl_engine.data import sources
from tl_engine.data.decoding import to_png
from tl_engine.data.sandbox import Upload, read_upload
from tl_engine.errors import DataUnavailable, ImageError
from tl_engine.execution.predictor import ranked
from tl_engine.runs import Run, RunState
from tl_engine.text import escape
from ui import frame
from ui.frame import predictor
from ui.gallery import choose_picture
from ui.selection import choose_runs

SOURCES = {
    "validation": ":material/photo_library: Validation images",
    "file": ":material/upload_file: Upload",
    "camera": ":material/photo_camera: Camera",
}
SEEN_PX = 160
Shown = tuple[np.ndarray, np.ndarray, int | None]
"""A picture for people and the same for models, uint8 (height, width, 3) each, and its class."""


def from_validation(runs: list[Run], described: Dataset) -> Shown | None:
    """A validation image, or None."""
    try:
        images = sources.load(described.name)
    except DataUnavailable as error:
        st.info(escape(str(error)), icon=":material/cloud_off:")
        return None
    chosen = choose_picture(runs, images.validation or images.train, described.class_names)
    return (chosen[0], *chosen) if chosen else None


@st.cache_data(max_entries=8, show_spinner="Reading the picture …")
def read(file: bytes, described: Dataset, invert: bool) -> Upload:
    """Cached, so that a click elsewhere on the page does not read the same file again."""
    return read_upload(file, described, invert=invert)


def from_outside(source: str, described: Dataset) -> Shown | None:
    """A picture that was uploaded or photographed, or None."""
    if source == "camera":
        file = st.camera_input("Take a picture", key="camera", width=420)
    else:
        file = st.file_uploader(
            "A picture: PNG, JPEG, WebP, GIF, BMP or TIFF, up to 25 MB", key="upload"
        )
    invert = described.channels == 1 and st.toggle(
        "Swap light and dark",
        key="invert",
        help=f"{escape(described.title)} shows light things on black; "
        "most photographs are the opposite.",
    )
    if file is None:
        return None
    try:
        return *read(file.getvalue(), described, invert), None
    except ImageError as error:
        st.error(escape(str(error)), icon=":material/broken_image:")
        return None


def show_answers(runs: list[Run], described: Dataset, shown: Shown) -> None:
    """Both models' top five, beside the picture and how each model sees it."""
    original, pixels, truth = shown
    name = None if truth is None else described.class_names[truth]
    columns = st.columns([1, *[4 // len(runs)] * len(runs)], gap="large")
    with columns[0]:
        st.image(to_png(original), width="stretch")
        st.caption("The picture")
        if name is not None:
            st.markdown(f"Truth: **{escape(name)}**")
    for run, column, colour in zip(runs, columns[1:], ARMS, strict=False):
        with column, frame.guarded():
            with st.spinner("The model looks at it … the first time it loads for some seconds"):
                answer = predictor(str(frame.store().root)).classify(run, pixels[None])
            top = ranked(answer.probabilities[0], described.class_names)
            st.markdown(f"**{escape(run.arm)}** · pair {run.pair} · {escape(run.study.title)}")
            st.html(top_bars([(p.label, p.probability) for p in top], name, colour))
            size = run.recipe.image_size
            st.image(to_png(answer.as_seen[0]), width=SEEN_PX)
            st.caption(f"As the model sees it: {size} × {size} px")


with frame.page("Classify"):
    runs_store = frame.store()
    if not any(run.state is RunState.FINISHED for run in runs_store.runs()):
        frame.empty_state("No model yet. A finished run can classify your pictures here.")
    else:
        # TensorFlow loads in its own process while the visitor still chooses.
        predictor(str(runs_store.root)).start()
        label = "One model, or two side by side"
        runs = choose_runs(runs_store, label, finished=True, most=2)
        if not runs:
            st.caption("Choose a finished run.")
        elif len({run.recipe.dataset for run in runs}) > 1:
            st.info(
                "These two models know different classes: choose two of the same dataset.",
                icon=":material/info:",
            )
        else:
            described = runs[0].recipe.described_dataset
            pick = partial(frame.pick, label_visibility="collapsed")
            source = pick("Pictures from", SOURCES, "source", default="validation")
            # The answer stands above the gallery: a click below shows its effect at once.
            place = st.container()
            if source == "validation":
                shown = from_validation(runs, described)
            else:
                shown = from_outside(source, described)
            if shown:
                with place:
                    show_answers(runs, described, shown)
