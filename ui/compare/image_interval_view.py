"""Over which a verdict's interval is: seeds alone, or seeds and validation images."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from tl_engine.errors import ThawError
from tl_engine.report.image_interval import about_seeds, over_images_of
from tl_engine.report.judgement import Judged
from tl_engine.report.question import Question
from ui.arms import ShownArm
from ui.words import escape

SEEDS, IMAGES = "Seeds", "Seeds and validation images"


def show(arms: Sequence[ShownArm], one: Judged, question: Question) -> None:
    """Say what the interval is about, and on request show the one over images too."""
    if one.verdict is None or one.verdict.interval is None:
        return
    over = st.segmented_control(
        "Interval over",
        [SEEDS, IMAGES],
        default=SEEDS,
        required=True,
        key="interval-over",
        help="The verdict is over seeds, as planned. The other interval asks whether it would "
        "stand for other images like these; it is shown beside the verdict and changes nothing.",
    )
    if over == SEEDS:
        st.caption(escape(about_seeds(arms[one.first].runs[0], question), 600))
        return
    try:
        found = over_images_of(arms, one, question)
    except ThawError as error:
        st.caption(f"The interval over images cannot be computed: {escape(str(error), 400)}")
        return
    if found:
        shared = f" Two pairs share {found.shared:.0%} of their validation images."
        st.caption(escape(found.sentence + shared, 600))
