"""The whole main job in a real browser: choose, launch, watch, compare, classify.

Real server, real worker, real Chromium, the real EfficientNet-Lite0 weights. Screenshots go to
tests/output, or to THAW_PICTURES (`make pictures` puts README's there).
"""

import io
import os
import re
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers import wait_until
from tests.server import CHROMIUM, PROJECT, browser, server
from tl_engine.data import sources
from tl_engine.runs import RunState, RunStore

PICTURES = Path(os.environ.get("THAW_PICTURES", PROJECT / "tests" / "output"))
QUICK = "100"
IMAGES = os.environ.get("THAW_IMAGES", QUICK)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="Chromium is missing; Debian: apt install chromium, then make test",
    ),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return RunStore(tmp_path_factory.mktemp("browser") / "runs")


@pytest.fixture(scope="module")
def address(store):
    with server(store.root) as (address, _):
        yield address


@pytest.fixture(scope="module")
def chromium():
    with browser() as chromium:
        yield chromium


def photograph(page, name, width=1280):
    """A picture of the whole page."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.locator("[data-test-script-state=notRunning]").first.wait_for(state="attached")
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")
    page.wait_for_timeout(500)
    tall = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": width, "height": min(max(tall, 600), 3400)})
    page.wait_for_timeout(500)
    page.screenshot(path=PICTURES / f"{name}.png")
    page.set_viewport_size({"width": width, "height": 900})


def boot():
    """An upload: a boot from the test split as a phone would send it, on its side, with EXIF."""
    images = sources.load("fashion-mini").test
    position = int((images.labels == 9).argmax())
    picture = Image.fromarray(images.images[position].copy()).resize((280, 280))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    picture.rotate(90, expand=True).save(file, "JPEG", exif=exif, quality=95)
    return {"name": "boot.jpg", "mimeType": "image/jpeg", "buffer": file.getvalue()}


def test_from_a_choice_to_a_classified_upload(store, address, chromium):
    page = chromium.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page.goto(address)
    page.get_by_text("No runs yet").wait_for()
    photograph(page, "empty")

    page.get_by_text("Launch the first study").click()
    images = page.get_by_label("Training images", exact=True)
    images.fill("9999")
    images.press("Enter")
    page.get_by_text("5,000 training images, got 9,999").wait_for()
    images.fill(IMAGES)
    images.press("Enter")
    if IMAGES == QUICK:
        size = page.get_by_label("Image size", exact=False).first
        size.fill("32")
        size.press("Enter")
        for number, epochs in enumerate(("1", "2")):
            field = page.get_by_label("Epochs", exact=True).nth(number)
            field.fill(epochs)
            field.press("Enter")
    page.get_by_text(re.compile("measured here")).first.wait_for(timeout=120_000)
    photograph(page, "launch")
    page.get_by_role("button", name="Launch 2 runs").click()

    page.get_by_text(re.compile(r"epoch \d of \d")).first.wait_for(timeout=90_000)
    if IMAGES != QUICK:
        page.get_by_text(re.compile(r"epoch 2 of 6.*left")).wait_for(timeout=120_000)
    photograph(page, "overview")
    first, second = store.studies()[0].runs()

    page.get_by_role("link", name="Compare").click()
    points = page.locator(".js-plotly-plot .scatterlayer .point")
    wait_until(lambda: page.wait_for_timeout(100) or points.count() >= 1, 180)
    seen = points.count()
    wait_until(lambda: page.wait_for_timeout(100) or points.count() > seen, 180)  # no reload

    wait_until(lambda: page.wait_for_timeout(200) or second.state.is_over, 400)
    assert first.state is second.state is RunState.FINISHED
    assert page.url.count("ids=") == 1
    difference = page.locator(".st-key-cell-fashion-mini-difference .heatmaplayer")
    difference.wait_for(timeout=30_000)
    photograph(page, "compare")

    page.get_by_role("link", name="Classify").click()
    page.get_by_text(re.compile("As the model sees it")).nth(1).wait_for(timeout=60_000)
    photograph(page, "classify")
    page.get_by_role("radio", name="Upload").or_(
        page.get_by_text("Upload", exact=True)
    ).first.click()
    page.locator("input[type=file]").set_input_files(boot())
    page.get_by_text("The picture").wait_for(timeout=20_000)
    page.get_by_text(re.compile("As the model sees it")).nth(1).wait_for(timeout=20_000)
    assert page.get_by_text("Ankle boot").count() >= 2  # among the five of both models
    photograph(page, "upload")
    page.locator("input[type=file]").set_input_files(
        {"name": "notes.png", "mimeType": "image/png", "buffer": b"no picture"}
    )
    page.get_by_text("This file is no picture").wait_for()
    assert page.get_by_test_id("stException").count() == 0
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_fits_every_width_and_theme(address, chromium, theme):
    page = chromium.new_page(color_scheme=theme)
    for name in ("", "Launch", "Compare", "Classify", "Explain"):
        page.goto(f"{address}/{name}")
        page.get_by_test_id("stAppViewContainer").wait_for()
        page.get_by_role("link", name="Overview").wait_for()
        for width in (1280, 800, 400):
            page.set_viewport_size({"width": width, "height": 900})
            photograph(page, f"{name or 'Overview'}-{theme}-{width}", width)
            assert page.get_by_test_id("stException").count() == 0
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name} is {wide} px wide on a screen of {width}"
    page.close()
