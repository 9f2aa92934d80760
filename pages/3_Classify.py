"""Classify: validation images, a file or the camera, with one model or two."""

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
from ui import frame
from ui.classify.gallery import Gallery, Picture, choose_picture
from ui.engine import predictor, store
from ui.selection import choose_runs
from ui.words import escape

SOURCES = {
    "validation": ":material/photo_library: Validation images",
    "file": ":material/upload_file: Upload",
    "camera": ":material/photo_camera: Camera",
}
SEEN_PX = 160


def from_validation(runs: list[Run], described: Dataset) -> Picture | None:
    """A validation image and its true class, or None."""
    try:
        images = sources.load(described.name)
    except DataUnavailable as error:
        st.info(escape(str(error)), icon=":material/cloud_off:")
        return None
    published = images.validation or images.train
    return choose_picture(Gallery(runs, published, described.class_names))


@st.cache_data(max_entries=8, show_spinner="Reading the picture …")
def read(file: bytes, described: Dataset, invert: bool) -> Upload:
    """Cached, so that a click elsewhere on the page does not read the same file again."""
    return read_upload(file, described, invert=invert)


def from_outside(source: str, described: Dataset) -> Upload | None:
    """A picture that was uploaded or photographed, at the dataset's size, or None."""
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
        return read(file.getvalue(), described, invert)
    except ImageError as error:
        st.error(escape(str(error)), icon=":material/broken_image:")
        return None


def show_answers(
    runs: list[Run],
    described: Dataset,
    original: np.ndarray,
    pixels: np.ndarray,
    truth: int | None,
) -> None:
    """Both models' top five, beside the picture and how each model sees it."""
    columns = st.columns([1, *[4 // len(runs)] * len(runs)], gap="large")
    with columns[0]:
        st.image(to_png(original), width="stretch")
        st.caption("The picture")
        if truth is not None:
            st.markdown(f"Truth: **{escape(described.class_names[truth])}**")
    for run, column, colour in zip(runs, columns[1:], ARMS, strict=False):
        with column, frame.guarded():
            with st.spinner("The model looks at it … the first time it loads for some seconds"):
                answer = predictor(str(store().root)).classify(run, pixels[None])
            top = ranked(answer.probabilities[0], described.class_names)
            name = None if truth is None else described.class_names[truth]
            st.markdown(f"**{escape(run.arm)}** · pair {run.pair} · {escape(run.study.title)}")
            st.html(top_bars([(p.label, p.probability) for p in top], name, colour))
            size = run.recipe.image_size
            st.image(to_png(answer.as_seen[0]), width=SEEN_PX)
            st.caption(f"As the model sees it: {size} × {size} px")


with frame.page("Classify"):
    runs_store = store()
    finished = [run for run in runs_store.runs() if run.state is RunState.FINISHED]
    if not finished:
        frame.empty_state(
            "No model yet. A finished run can classify your pictures here.",
            "pages/1_Launch.py",
            "Launch a study",
            ":material/rocket_launch:",
        )
    else:
        # TensorFlow loads in its own process while the visitor still chooses.
        predictor(str(runs_store.root)).start()
        runs = choose_runs(
            runs_store,
            "One model, or two side by side",
            lambda run: run.state is RunState.FINISHED,
            maximum=2,
            studies=False,
            default=2,
        )
        if not runs:
            st.caption("Choose a finished run.")
        elif len({run.recipe.dataset for run in runs}) > 1:
            st.info(
                "These two models know different classes: choose two of the same dataset.",
                icon=":material/info:",
            )
        else:
            described = runs[0].recipe.described_dataset
            source = st.segmented_control(
                "Pictures from",
                list(SOURCES),
                format_func=SOURCES.__getitem__,
                default="validation",
                required=True,
                key="source",
                label_visibility="collapsed",
            )
            # The answer stands above the gallery: a click below shows its effect at once.
            place = st.container()
            picture = truth = None
            if source == "validation":
                chosen = from_validation(runs, described)
                if chosen:
                    picture, truth = (np.asarray(chosen.pixels),) * 2, chosen.truth
            else:
                picture = from_outside(source, described)
            if picture is not None:
                with place:
                    show_answers(runs, described, *picture, truth)
