"""Logging in for real: a provider, the app and Chromium."""

import re

import pytest
from joserfc import jwk

from tests.provider import CLIENT, PASSWORD, provider
from tests.server import CHROMIUM, PROJECT, browser, free_port, server
from ui.access import LOOK_ONLY

PEOPLE = {
    "Ada": {"name": "Ada Lovelace", "email": "ada@example.org", "email_verified": True},
    "Eve": {"name": "Eve", "email": "eve@example.org"},
    "Mallory": {"name": "Mallory", "email": "ada@example.org", "email_verified": False},
}
PICTURES = PROJECT / "tests" / "output"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.skipif(
        CHROMIUM is None, reason="Chromium is missing; Debian: apt install chromium"
    ),
]


@pytest.fixture(scope="module")
def chromium():
    with browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def known():
    with provider(PEOPLE) as known:
        yield known


@pytest.fixture(scope="module")
def address(known, finished, tmp_path_factory):
    port = free_port()
    secrets = tmp_path_factory.mktemp("login") / "secrets.toml"
    secrets.write_text(
        f"""
        [auth]
        redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
        cookie_secret = "{"0123456789abcdef" * 4}"
        client_id = "{CLIENT}"
        client_secret = "{PASSWORD}"
        server_metadata_url = "{known.address}/.well-known/openid-configuration"

        [thaw]
        editors = ["ada@example.org"]
        """
    )
    with server(finished.path.parent, server_port=port, secrets_files=secrets) as (address, _):
        yield address


@pytest.fixture
def page(chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def log_in(page, address, person, start=""):
    """From a page that asks who one is, over the provider, back to the app."""
    page.goto(f"{address}/{start}")
    page.get_by_role("button", name="Log in").click()
    page.get_by_text(f"I am {person}").click()


def photograph(page, name):
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(500)
    page.screenshot(path=PICTURES / f"{name}.png")


def test_whom_the_list_names_logs_in_changes_things_and_logs_out(page, address):
    page.goto(f"{address}/Compare")
    page.get_by_text("who you are").wait_for()
    assert page.get_by_role("link", name="Launch").count() == 0
    photograph(page, "login")
    log_in(page, address, "Ada", "Compare")
    page.get_by_text("Ada Lovelace").wait_for()
    photograph(page, "logged-in")
    page.get_by_role("link", name="Launch").click()
    page.get_by_role("button", name="Launch 2 runs").wait_for()
    page.get_by_role("button", name="Log out").click()
    page.get_by_text("who you are").wait_for()
    page.goto(f"{address}/Launch")
    page.get_by_text("who you are").wait_for()


@pytest.mark.parametrize("person", ["Eve", "Mallory"])
def test_others_look_only(page, address, person):
    log_in(page, address, person)
    page.get_by_text(re.compile(rf"\b{person}\b")).first.wait_for()
    page.get_by_role("link", name="Launch").click()
    page.get_by_text(LOOK_ONLY[:40]).wait_for()
    assert page.get_by_role("button", name="Launch").count() == 0
    photograph(page, "look-only")


def test_a_token_that_the_provider_did_not_sign_lets_nobody_in(page, address, known):
    known.signing = jwk.RSAKey.generate_key(2048, {"kid": "one"})
    try:
        log_in(page, address, "Ada")
        page.get_by_text("who you are").wait_for()
    finally:
        known.signing = known.published
    assert page.get_by_text("Ada Lovelace").count() == 0


def test_a_made_up_cookie_lets_nobody_in(page, address):
    page.context.add_cookies(
        [{"name": "_streamlit_user", "value": "forged", "url": address, "httpOnly": True}]
    )
    page.goto(address)
    page.get_by_text("who you are").wait_for()


def test_the_login_fits_a_narrow_screen_and_needs_no_mouse(page, address):
    page.set_viewport_size({"width": 360, "height": 640})
    log_in_by_keyboard(page, address)
    page.get_by_text("Ada Lovelace").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    photograph(page, "logged-in-narrow")


def log_in_by_keyboard(page, address):
    page.goto(address)
    page.get_by_role("button", name="Log in").wait_for()
    photograph(page, "login-narrow")
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "BUTTON":
            break
    page.keyboard.press("Enter")
    page.get_by_role("link", name="I am Ada").focus()
    page.keyboard.press("Enter")
