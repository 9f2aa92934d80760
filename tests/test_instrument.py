"""The instrument in a real browser: launch pairs, watch the fan, read the verdict, add pairs, open
the test split, see the images behind a difference."""

import re

import numpy as np
import pytest

from tests.conftest import tiny_study
from tests.helpers import wait_until
from tests.server import CHROMIUM, browser, server
from tests.test_browser import photograph
from tests.test_mistakes_browser import click
from tl_engine.recipe import Phase
from tl_engine.runs import Evaluation, RunState, RunStore
from tl_engine.runs.evaluations import result_of
from tl_engine.runs.run_requests import request_stop

pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="Chromium is missing; Debian: apt install chromium, then make test",
    ),
]
PHASES = Phase("all", 4, 1e-2), Phase("head", 2, 1e-2)
FAN = ".st-key-fan .js-plotly-plot"
AT_LEAST = 4
"""Charts that Compare shows of a contrast, whatever is looked at more closely."""
SUBTITLES = "all => all.map(plot => plot.layout?.title?.subtitle?.text)"
POINTS = "plot => Math.max(0, ...(plot.data ?? []).map(trace => trace.x.length))"


def test_a_question_is_launched_watched_answered_and_looked_behind(tmp_path):
    store = RunStore(tmp_path / "runs")
    asked = store.create(tiny_study(*PHASES, pairs=5))
    for run in asked.runs():
        request_stop(run)
    with server(store.root) as (address, _), browser() as chromium:
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(90_000)
        page.goto(f"{address}/Launch?clone={asked.id}")
        page.get_by_role("button", name="Launch 10 runs").click()
        wait_until(lambda: page.wait_for_timeout(100) or len(store.studies()) == 2)
        study = store.studies()[0]

        page.goto(f"{address}/Compare?ids={study.id}")
        said, points = watched(page)
        assert any(re.match(r"[0-3] pairs?: a look, not evidence", words) for words in said)
        assert len(points) > 1, points  # the fan moved
        assert all(run.state is RunState.FINISHED for run in study.runs())
        photograph(page, "verdict")

        page.get_by_role("button", name=re.compile(r"Run \d+ (of \d+ )?more pair")).click()
        page.get_by_text("an interval that may be looked at at any time").wait_for()
        wait_until(lambda: page.wait_for_timeout(200) or is_over(store.study(study.id)), 120)
        assert store.study(study.id).added_pairs > 0

        page.reload()
        page.get_by_role("radio", name="Test split").click()
        page.get_by_role("button", name="Open the test split").click()
        page.locator(".st-key-test-confirm button").click()
        page.get_by_text("Test opened 1 time").wait_for()
        page.get_by_text("Test split opened 1 time").wait_for()
        wait_until(lambda: page.wait_for_timeout(200) or is_tested(store.study(study.id)), 90)

        page.get_by_role("radio", name="Mistakes").click()
        page.locator(".st-key-cell-fashion-mini-difference .heatmaplayer").wait_for()
        gap = np.subtract(*(mistakes(study, arm) for arm in (0, 1)))
        true, predicted = divmod(int(np.abs(gap).argmax()), 10)
        click(page, "cell-fashion-mini-difference", true, predicted, 10)
        images = page.locator("figure img")
        wait_until(lambda: page.wait_for_timeout(100) or images.count() > 0, 30)
        assert set(images.evaluate_all("all => all.map(one => one.naturalWidth)")) == {28}
        photograph(page, "difference")

        for part, drawn in {"Agreement": 2, "Costs": 2, "Calibration": 2}.items():
            page.get_by_role("radio", name=part).click()
            assert_charts_say_what_they_rest_on(page, AT_LEAST + drawn)
        page.goto(f"{address}/Explain?ids={study.id}")
        page.get_by_text("How far the weights moved").wait_for()
        assert_charts_say_what_they_rest_on(page, 8)
        photograph(page, "explain")


def assert_charts_say_what_they_rest_on(page, least):
    """Every chart names what its runs cost, and can be saved."""
    told = []

    def are_drawn():
        page.wait_for_timeout(300)
        told[:] = page.locator(".js-plotly-plot").evaluate_all(SUBTITLES)
        saves = page.get_by_role("button", name="Save").count()
        return len(told) >= least and all(told) and saves == len(told)

    wait_until(are_drawn, 30)
    assert all(re.search(r"a run: [\d,]+ steps, [\d,]+ forward-equivalents$", one) for one in told)
    assert all(re.search("pair|seed|images|predictions", one) for one in told)


def watched(page):
    """What the verdict said and how many pairs the fan showed, until all planned ones are in."""
    said, points = set(), set()

    def look():
        page.wait_for_timeout(100)
        cards = page.get_by_text(re.compile(r"(a look, not evidence|Cannot tell yet| points )"))
        said.update(cards.all_inner_texts())
        points.update(page.locator(FAN).evaluate_all(f"all => all.map({POINTS})"))
        return page.get_by_text("5 of 5 planned pairs; ").count()

    wait_until(look, 120)
    return said, points


def is_tested(study):
    return all(result_of(run, Evaluation.TEST) for run in study.runs())


def is_over(study):
    return all(run.state.is_over for run in study.runs())


def mistakes(study, arm):
    """How often an arm takes one class for another, without what it gets right."""
    runs = [run for run in study.runs() if run.arm_index == arm]
    counts = sum(np.array(run.scores["splits"]["validation"]["confusion"]) for run in runs)
    return counts - np.diag(np.diag(counts))
