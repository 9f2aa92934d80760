"""Clicks on cells, in a real browser: the images behind a number appear."""

import pytest

from tests.helpers import wait_until
from tests.server import CHROMIUM, browser, server
from tl_engine.analysis.predictions import confusion_counts
from tl_engine.runs.run_outputs import probabilities

pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="Chromium is missing; Debian: apt install chromium, then make test",
    ),
]
PAGE = """
import streamlit as st

from tl_engine.report.parts import CLOSER
from tl_engine.report.arms import arms_of
from tl_engine.report.shown_results import results_of
from ui.compare.part_views import show_alone
from ui.frame import store

st.set_page_config(layout="wide")
runs = store().studies()[0].runs()
results = results_of(runs, [arm.key for arm in arms_of(runs)])
show_alone(CLOSER["Agreement"][0], results)
show_alone(CLOSER["Mistakes"][0], results)
"""


@pytest.fixture(scope="module")
def address(finished, tmp_path_factory):
    script = tmp_path_factory.mktemp("page") / "page.py"
    script.write_text(PAGE)
    with server(finished.path.parent, script) as (address, _):
        yield address


@pytest.fixture(scope="module")
def chromium():
    with browser() as chromium:
        yield chromium


@pytest.fixture(params=[{"width": 1280}, {"width": 400}], ids=["wide", "narrow"])
def page(request, address, chromium):
    page = chromium.new_page(viewport={"height": 900, **request.param})
    page.set_default_timeout(90_000)
    page.goto(address)
    page.locator(".st-key-cell-fashion-mini-difference .heatmaplayer").wait_for()
    yield page
    page.close()


def click(page, key, row, column, cells):
    """Click near a corner of a matrix's cell."""
    plot = page.locator(f".st-key-{key} .js-plotly-plot .nsewdrag").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    place = {
        "x": box["width"] * (column + 0.25) / cells,
        "y": box["height"] * (row + 0.75) / cells,
    }
    plot.click(position=place)


def wait_for_images(page, count):
    images = page.locator("figure img")
    wait_until(lambda: page.wait_for_timeout(100) or images.count() == count, 30)
    # The browser could read each of them.
    wide = images.evaluate_all("all => all.map(one => one.naturalWidth)")
    assert wide == [28] * count


def of_both(study):
    """Classes (n,) that each arm says, and the true ones."""
    both = [probabilities(run) for run in study.runs()]
    return *(arrays["validation"].argmax(axis=1) for arrays in both), both[0]["validation_labels"]


def test_a_click_on_a_cell_of_the_difference_shows_its_images(finished, page):
    first, second, labels = of_both(finished)
    there = (labels * 10 + first)[first != second]
    true, said = divmod(int(there[there % 11 != 0].max()), 10)  # a mistake that only one makes
    only = (labels == true) & (first == said) & (second != said)
    click(page, "cell-fashion-mini-difference", true, said, 10)
    page.get_by_text("by Fine-tune first and not by Freeze first").wait_for()
    lost = (labels == true) & (second == said) & (first != said)
    wait_for_images(page, min(int(only.sum()), 24) + min(int(lost.sum()), 24))


def test_a_click_on_a_confusion_shows_that_arm_s_cell_and_another_click_another(finished, page):
    first, second, labels = of_both(finished)
    for place, predicted in (("second", second), ("first", first)):
        counts = confusion_counts(labels, predicted, 10)
        true, said = divmod(int(counts.argmax()), 10)
        click(page, f"cell-fashion-mini-{place}", true, said, 10)
        page.get_by_text(f"by {finished.study.arms[place == 'second'].name}, pair 1").wait_for()
        wait_for_images(page, min(int(counts[true, said]), 24))


def test_a_click_on_who_is_right_shows_those_images(finished, page):
    first, second, labels = of_both(finished)
    click(page, "agreement", 0, 1, 2)
    only = int(((first == labels) & (second != labels)).sum())
    wait_for_images(page, min(only, 24))
    assert page.get_by_test_id("stException").count() == 0


def test_a_cell_that_is_clicked_again_is_shown_again(finished, page):
    first, _, labels = of_both(finished)
    counts = confusion_counts(labels, first, 10)
    true, said = divmod(int(counts.argmax()), 10)
    click(page, "cell-fashion-mini-first", true, said, 10)
    wait_for_images(page, min(int(counts[true, said]), 24))
    page.get_by_role("button", name="Clear value").first.click()
    wait_for_images(page, 0)
    click(page, "cell-fashion-mini-first", true, said, 10)
    wait_for_images(page, min(int(counts[true, said]), 24))
