"""What one can keep of a chart: its numbers, a page, and pictures that a real browser saves."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.server import CHROMIUM, PROJECT, browser, server
from tl_engine.charts.style import figure
from ui.figures import csv_of, page_of

SCRIPT = """
import pandas as pd
from tl_engine.charts.style import figure
from ui.figures import chart

made = figure("Title", "two points").add_scatter(x=[1, 2], y=[3, 4], name="name", showlegend=True)
chart(made, pd.DataFrame({"x": [1, 2], "y": [3.5, 4.5]}), "points", "Two points")
"""


def test_numbers_are_whole_and_what_was_not_measured_is_empty():
    frame = pd.DataFrame({"seed": [1, 2], "value": [0.1 + 0.2, np.nan], "arm": ["a", None]})
    rows = list(csv.reader(io.StringIO(csv_of(frame).decode())))
    assert rows == [["seed", "value", "arm"], ["1", "0.30000000000000004", "a"], ["2", "", ""]]


@pytest.mark.parametrize("name", ["=1+1", "+1", "@x", "-1;=1+1"])
def test_a_name_computes_nothing_in_a_spreadsheet(name):
    (head,), (cell,) = csv.reader(io.StringIO(csv_of(pd.DataFrame({name: [name]})).decode()))
    assert head[0] == cell[0] == "'"


def test_a_page_needs_no_network():
    page = page_of(figure("Title", "words")).decode()
    assert "Title" in page and "<script src" not in page


@pytest.fixture(scope="module")
def chart(tmp_path_factory):
    """A page with one chart, in a dark browser."""
    if CHROMIUM is None:
        pytest.skip("Chromium is missing; Debian: apt install chromium, then make test")
    folder = tmp_path_factory.mktemp("export")
    script = folder / "page.py"
    script.write_text(f"import sys\nsys.path.insert(0, {str(PROJECT)!r})\n{SCRIPT}")
    with server(folder, script) as (address, _), browser() as chromium:
        page = chromium.new_page(color_scheme="dark")
        page.goto(address)
        page.wait_for_selector(".st-key-points .main-svg")
        yield page


def saved(page, button):
    """The name and the bytes of what a click saves."""
    with page.expect_download() as download:
        button.click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def camera(page):
    page.locator(".st-key-points").hover()
    return page.locator(".st-key-points .modebar-btn").first


@pytest.mark.browser
def test_a_browser_saves_the_picture_in_either_format_and_the_numbers(chart):
    name, picture = saved(chart, camera(chart))
    assert name == "points.png"
    ground = Image.open(io.BytesIO(picture)).convert("RGBA").getpixel((2, 2))
    assert ground == (14, 17, 23, 255)  # words that suit a dark page stand on a dark ground
    chart.locator(".st-key-points-save button").first.click()
    name, numbers = saved(chart, chart.get_by_role("button", name="Numbers (CSV)"))
    assert (name, numbers) == ("points.csv", b"x,y\r\n1,3.5\r\n2,4.5\r\n")
    name, _ = saved(chart, chart.get_by_role("button", name="Chart (HTML)"))
    assert name == "points.html"
    chart.get_by_role("radio", name="SVG").click()
    chart.keyboard.press("Escape")
    chart.wait_for_selector('.modebar-btn[data-title="Download plot"]', state="attached")
    chart.wait_for_function("document.querySelectorAll('.st-key-points').length === 1")
    name, picture = saved(chart, camera(chart))
    assert name == "points.svg" and picture.startswith(b"<svg")
