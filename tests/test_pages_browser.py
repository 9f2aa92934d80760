"""Addresses, the back button, saved pictures and clicked cells, in a real browser."""

import io
import re

import pytest
from PIL import Image

from tests.helpers import wait_until
from tests.server import CHROMIUM, browser, server
from tests.test_mistakes_browser import click

pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="Chromium is missing; Debian: apt install chromium, then make test",
    ),
]


@pytest.fixture(scope="module")
def page(finished):
    with server(finished.path.parent) as (address, _), browser() as chromium:
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(25_000)
        page.address = address
        yield page


def at(page, name):
    """Wait until the page of that name has been drawn."""
    page.wait_for_url(re.compile(rf"/{name}(\?|$)"))
    page.locator("[data-test-script-state=notRunning]").first.wait_for(state="attached")


def test_the_back_button_needs_one_press_per_page(page, finished):
    page.goto(page.address)
    page.get_by_text("What the evidence says").or_(page.get_by_text("Select rows")).first.wait_for()
    page.get_by_role("link", name="Compare", exact=False).first.click()
    at(page, "Compare")
    page.wait_for_url(re.compile(f"ids={finished.id}"))  # complete, whoever copies it
    page.get_by_role("link", name="Explain").click()
    at(page, "Explain")
    page.wait_for_url(re.compile(f"ids={finished.id}"))
    page.go_back()
    at(page, "Compare")
    page.get_by_text("Settings that differ").wait_for()
    page.go_back()
    page.get_by_text("Select rows").wait_for()
    assert page.url.rstrip("/") == page.address


def test_back_undoes_a_choice_in_one_press(page, finished):
    run = finished.runs()[0]
    page.goto(f"{page.address}/Compare?ids={finished.id}")
    page.get_by_text("Settings that differ").wait_for()
    page.get_by_label("Studies and runs to compare").click()
    page.get_by_role("option", name=re.compile(run.arm)).first.click()
    page.wait_for_url(re.compile("arm1-pair01|arm1%2Dpair01"))
    page.keyboard.press("Escape")
    page.go_back()
    tags = page.get_by_test_id("stMultiSelect").locator("[data-tag]")
    wait_until(lambda: page.wait_for_timeout(100) or tags.count() == 1, 30)
    assert "arm1" not in page.url


def test_a_picture_arrives_as_a_file_at_one_press(page, finished):
    page.goto(f"{page.address}/Compare?ids={finished.id}")
    page.wait_for_selector(".st-key-curves .main-svg")
    page.get_by_text("All figures but those under").wait_for()  # the end of the page
    page.locator("[data-test-script-state=notRunning]").first.wait_for(state="attached")
    save = page.locator(".st-key-curves-save button").first
    save.click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Picture (PNG)").click()
    assert download.value.suggested_filename == "curves.png"
    picture = Image.open(io.BytesIO(download.value.path().read_bytes()))
    assert picture.format == "PNG" and min(picture.size) > 300
    page.get_by_role("button", name="Picture (PNG)").wait_for(state="hidden")
    save.click()
    with page.expect_download():  # and again
        page.get_by_role("button", name="Picture (PNG)").click()


def test_a_click_on_a_cell_brings_its_images_into_view(page, finished):
    page.goto(f"{page.address}/Compare?ids={finished.id}")
    page.locator(".st-key-cell-fashion-mini-first .heatmaplayer").wait_for()
    click(page, "cell-fashion-mini-first", 0, 0, 10)
    place = page.locator(".st-key-images-confusion")
    place.wait_for()
    wait_until(lambda: page.wait_for_timeout(200) or _is_in_view(place), 30)


def _is_in_view(place):
    box = place.bounding_box()
    return box is not None and 0 <= box["y"] <= 900
