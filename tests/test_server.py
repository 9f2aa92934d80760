"""The server as strangers meet it: what it listens on, whom it answers, what it refuses."""

import asyncio
import http.client
import os
import re
import socket
import subprocess
import sys
import tomllib
import urllib.parse

import psutil
import pytest

from tests.conftest import PROJECT
from tests.server import free_port, server, streamlit
from tests.visitor import visitor
from ui.access import LOOK_ONLY, TRUST
from ui.server import is_own_origin

PROMISES = {
    ("server", "address"): "127.0.0.1",
    ("server", "allowedHosts"): ["localhost", "127.0.0.1"],
    ("server", "corsAllowedOrigins"): [],
    ("server", "enableAgentApi"): False,
    ("server", "enableCORS"): True,
    ("server", "enableStaticServing"): False,
    ("server", "enableXsrfProtection"): True,
    ("server", "fileWatcherType"): "none",
    ("server", "maxUploadSize"): 25,
    ("browser", "gatherUsageStats"): False,
    ("client", "showErrorDetails"): "none",
    ("client", "showErrorLinks"): False,
    ("client", "toolbarMode"): "minimal",
    ("runner", "magicEnabled"): False,
}
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
STREAM = "/_stcore/stream"
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The address of a server with the shipped configuration, and its process."""
    with server(tmp_path_factory.mktemp("served") / "runs") as (address, process):
        yield address, process


@pytest.fixture
def ask(served):
    """Send one request as it is, nothing tidied up; the answer's status and headers."""
    netloc = urllib.parse.urlsplit(served[0]).netloc

    def send(path, method="GET", body=None, **headers):
        connection = http.client.HTTPConnection(netloc, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, {"Host": netloc, **named})
            answer = connection.getresponse()
            return answer.status, answer.headers
        finally:
            connection.close()

    return send


@pytest.mark.parametrize(("place", "promised"), PROMISES.items(), ids=lambda one: str(one))
def test_the_shipped_configuration_promises(place, promised):
    configured = tomllib.loads((PROJECT / ".streamlit" / "config.toml").read_text())
    section, name = place
    assert configured[section][name] == promised


def test_it_listens_on_loopback_only(served):
    address, process = served
    listening = [
        one.laddr
        for one in psutil.Process(process.pid).net_connections("inet")
        if one.status == psutil.CONN_LISTEN
    ]
    port = urllib.parse.urlsplit(address).port
    assert [tuple(one) for one in listening] == [("127.0.0.1", port)]


def test_a_browser_on_this_machine_is_served(served, ask):
    netloc = urllib.parse.urlsplit(served[0]).netloc
    assert ask("/")[0] == 200
    assert ask("/Compare")[0] == 200
    assert ask(STREAM, **HANDSHAKE, Origin=f"http://{netloc}")[0] == 101
    by_name = netloc.replace("127.0.0.1", "localhost")
    assert ask(STREAM, **HANDSHAKE, Host=by_name, Origin=f"http://{by_name}")[0] == 101


@pytest.mark.parametrize("path", ["/", "/Compare", "/_stcore/health", "/_stcore/host-config"])
def test_a_name_that_was_rebound_to_this_machine_is_refused(ask, path):
    evil = {"Host": "evil.example:8501", "Origin": "http://evil.example:8501"}
    assert ask(path, **evil)[0] == 403
    assert ask(path, Host="evil.example")[0] == 403
    assert ask(path, Host="127.0.0.1.evil.example")[0] == 403


def test_a_rebound_name_opens_no_session(ask):
    evil = {"Host": "evil.example:8501", "Origin": "http://evil.example:8501"}
    assert ask(STREAM, **HANDSHAKE, **evil)[0] == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://localhost.evil.example", "null", "file://"]
)
def test_a_page_of_another_site_opens_no_session(ask, origin):
    assert ask(STREAM, **HANDSHAKE, Origin=origin)[0] == 403
    assert ask("/_stcore/upload_file/session/file", "PUT", b"", Origin=origin)[0] == 403


def test_a_page_on_another_port_of_this_machine_controls_nothing(served, ask):
    """Another program's page: a notebook, a development server."""
    port = urllib.parse.urlsplit(served[0]).port
    for name in ("127.0.0.1", "localhost"):
        for other in (f":{port + 1}", ":80", ""):
            origin = f"http://{name}{other}"
            assert ask(STREAM, **HANDSHAKE, Origin=origin)[0] == 403
            assert ask("/_stcore/upload_file/session/file", "PUT", b"", Origin=origin)[0] == 403
            assert ask("/_stcore/health", Origin=origin)[0] == 403


def test_its_own_page_reads_and_a_program_without_origin_too(served, ask):
    assert ask("/_stcore/health", Origin=served[0])[0] == 200
    assert ask("/_stcore/health")[0] == 200
    assert ask(STREAM, **HANDSHAKE)[0] == 101


def test_another_name_of_this_machine_or_another_scheme_is_another_origin(served, ask):
    by_name = served[0].replace("127.0.0.1", "localhost")
    for origin in (by_name, served[0].replace("http:", "https:"), f"{served[0]}/", "http://"):
        assert ask(STREAM, **HANDSHAKE, Origin=origin)[0] == 403, origin
        assert ask("/", Origin=origin)[0] == 403, origin


def test_on_ipv6_its_own_origin_alone_is_served(tmp_path):
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
    log = tmp_path / "log"
    options = {"server_address": "::1", "server_allowedHosts": "::1"}
    with server(tmp_path / "runs", log=log, **options) as (address, _):
        netloc = urllib.parse.urlsplit(address).netloc
        port = urllib.parse.urlsplit(address).port

        def status(path, **headers):
            connection = http.client.HTTPConnection("::1", port, timeout=30)
            connection.request("GET", path, headers={"Host": netloc, **headers})
            try:
                return connection.getresponse().status
            finally:
                connection.close()

        assert status("/", Origin=address) == 200
        assert status(STREAM, **HANDSHAKE, Origin=address) == 101
        assert status(STREAM, **HANDSHAKE, Origin=f"http://[::1]:{port + 1}") == 403
        assert status("/", Origin="null") == 403


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "own"),
    [
        ("http://localhost:8501", "localhost:8501", "http", True),
        ("http://localhost:8501", "localhost:8501", "ws", True),
        ("http://LOCALHOST:8501", "localhost:8501", "ws", True),
        ("http://[::1]:8501", "[::1]:8501", "ws", True),
        ("http://[::1]:8502", "[::1]:8501", "ws", False),
        ("http://localhost", "localhost:80", "http", True),
        ("https://localhost", "localhost", "http", False),
        ("https://localhost:8501", "localhost:8501", "wss", True),
        ("http://localhost:8501", "localhost:8501", "wss", False),
        ("https://thaw.example.org", "thaw.example.org", "ws", True),
        ("https://thaw.example.org:8443", "thaw.example.org", "ws", False),
        ("http://thaw.example.org", "thaw.example.org", "wss", False),
        ("http://a@localhost:8501", "localhost:8501", "http", False),
        ("http://localhost:8501/x", "localhost:8501", "http", False),
        ("http://localhost:99999", "localhost:8501", "http", False),
        ("null", "localhost:8501", "http", False),
        ("ftp://localhost:8501", "localhost:8501", "http", False),
    ],
)
def test_an_origin_is_the_server_s_own_in_scheme_name_and_port(origin, host, scheme, own):
    assert is_own_origin(origin, host, scheme) is own


def test_no_page_may_frame_it_and_nothing_is_guessed(ask):
    for path in ("/", "/_stcore/health"):
        headers = ask(path)[1]
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_an_upload_without_a_token_is_refused(ask):
    assert ask("/_stcore/upload_file/session/file", "PUT", b"x")[0] == 403
    assert ask("/_stcore/upload_file/session/file", "DELETE")[0] == 403
    forged = {"X-Xsrftoken": "guess", "Cookie": "_streamlit_xsrf=guess"}
    assert ask("/_stcore/upload_file/session/file", "PUT", b"x", **forged)[0] == 403


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_an_upload_beyond_the_limit_is_refused(served, ask, announced):
    cookie = ask("/_stcore/health")[1]["Set-Cookie"].split(";")[0]
    token = {"Cookie": cookie, "X-Xsrftoken": cookie.split("=", 1)[1]}

    async def upload(size):
        async with visitor(served[0]) as one:
            await one.open()
            path = f"/_stcore/upload_file/{one.session}/file"
            # A generator has no length to announce, so it goes out in chunks.
            body = form(size) if announced else iter([form(size)])
            kind = {"Content-Type": "multipart/form-data; boundary=edge"}
            return await asyncio.to_thread(ask, path, "PUT", body, **token, **kind)

    assert asyncio.run(upload(MEGABYTE))[0] == 204
    assert asyncio.run(upload(27 * MEGABYTE))[0] == 413


def form(size):
    """A form that uploads one file."""
    head = b'--edge\r\nContent-Disposition: form-data; name="f"; filename="f.png"\r\n\r\n'
    return head + b"x" * size + b"\r\n--edge--\r\n"


@pytest.mark.parametrize(
    "path",
    [
        "/../app.py",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/static/../../app.py",
        "/static/%2e%2e/%2e%2e/app.py",
        "/media/..%2f..%2fapp.py",
        "/..%5c..%5capp.py",
        "//evil.example/share",
        "/component/..%2f..%2fapp.py/x",
    ],
)
def test_a_path_that_climbs_is_refused(ask, path):
    assert ask(path)[0] == 400


@pytest.mark.parametrize("path", ["/app/static/app.py", "/app.py", "/.streamlit/config.toml"])
def test_no_file_of_the_project_is_served(ask, path):
    status, headers = ask(path)
    # Streamlit answers what may be a page's name with its empty shell, never with the file.
    assert status == 404 or headers["Content-Type"].startswith("text/html")


def test_no_program_can_drive_the_app_by_http(ask):
    json = {"Content-Type": "application/json"}
    assert ask("/_stcore/agent/interact", "POST", b"{}", **json)[0] == 403


def refused(runs, *, environment=None, **options):
    """Start the app as it must not start: what it printed."""
    done = subprocess.run(
        streamlit(server_port=free_port(), **options),
        cwd=PROJECT,
        env={**os.environ, "THAW_RUNS_DIR": str(runs), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert not runs.exists()
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("address", ["0.0.0.0", "::", ""])  # noqa: S104
def test_on_another_address_without_a_login_it_does_not_start(tmp_path, address):
    printed = refused(tmp_path / "runs", server_address=address)
    assert f"Thaw would listen on {address or 'every address of this machine'}" in printed
    assert f"{TRUST}=1" in printed


def test_an_address_from_the_environment_is_refused_too(tmp_path):
    elsewhere = {"STREAMLIT_SERVER_ADDRESS": "::", TRUST: "no"}
    assert "listen on ::" in refused(tmp_path / "runs", environment=elsewhere)


def test_a_network_can_be_trusted_explicitly(tmp_path, monkeypatch):
    monkeypatch.setenv(TRUST, "1")
    with server(tmp_path / "runs", server_address="0.0.0.0") as (address, _):  # noqa: S104
        assert asyncio.run(first_words(address)).startswith("**Thaw**")


async def first_words(address, page="", **headers):
    """What a visitor reads."""
    async with visitor(address, **headers) as one:
        await one.open(page)
        return "\n".join(one.said)


def test_behind_a_proxy_it_answers_to_its_public_name_and_knows_whom_the_proxy_names(
    tmp_path, monkeypatch
):
    """As docs/deployment.md says: names with spaces between, headers as JSON."""
    monkeypatch.setenv("STREAMLIT_SERVER_ALLOWED_HOSTS", "thaw.example.org 127.0.0.1")
    monkeypatch.setenv("STREAMLIT_SERVER_TRUSTED_USER_HEADERS", '{"X-Email": "email"}')
    secrets = tmp_path / "secrets.toml"
    secrets.write_text("[thaw]\neditors = ['ada@example.org']\n")
    with server(tmp_path / "runs", secrets_files=secrets) as (address, _):
        netloc = urllib.parse.urlsplit(address).netloc
        connection = http.client.HTTPConnection(netloc)
        connection.request("GET", "/", headers={"Host": "thaw.example.org"})
        assert connection.getresponse().status == 200
        connection.close()
        editor = asyncio.run(first_words(address, "Launch", **{"X-Email": "ada@example.org"}))
        other = asyncio.run(first_words(address, "Launch", **{"X-Email": "eve@example.org"}))
    assert "Launch 2 runs" in editor
    assert "Launch 2 runs" not in other
    assert LOOK_ONLY in other


@pytest.mark.parametrize(
    ("secrets", "sentence"),
    [
        ("[auth\n", "secrets.toml cannot be read"),
        ("[thaw]\neditor = ['a@example.org']\n", r"knows only \[thaw\] editors, got editor"),
        ("[thaw]\neditors = 'a@example.org'\n", "is a list of addresses"),
    ],
)
def test_secrets_that_may_let_in_too_many_are_refused(tmp_path, secrets, sentence):
    file = tmp_path / "secrets.toml"
    file.write_text(secrets)
    assert re.search(sentence, refused(tmp_path / "runs", secrets_files=file))


BROKEN = """
import streamlit as st
from ui import server

def fail(*_):
    raise RuntimeError("secret /home/someone")

@st.dialog("Dialog")
def dialog():
    fail()

@st.fragment
def fragment():
    if st.button("in a fragment"):
        fail()

if __name__ == "__main__":
    st.button("in a callback", on_click=fail)
    fragment()
    if st.button("in a dialog"):
        dialog()
    if st.button("on the page"):
        fail()
else:
    app = st.App(__file__, **server.options())
"""


def test_what_nothing_caught_is_an_id_on_the_page_and_a_traceback_in_the_log(tmp_path):
    script, log = tmp_path / "broken.py", tmp_path / "log"
    script.write_text(BROKEN)

    async def press(address, label):
        async with visitor(address) as one:
            await one.open()
            await one.press(label)
            assert not one.exceptions
            return "\n".join(one.said)

    with server(tmp_path / "runs", script, log) as (address, _):
        for where in ("in a callback", "in a fragment", "in a dialog", "on the page"):
            said = asyncio.run(press(address, where))
            number = re.search(r"Thaw did not expect \(error (\w+)\)", said).group(1)
            assert "someone" not in said
            assert re.search(f"error {number}\nTraceback.*secret /home", log.read_text(), re.DOTALL)


def test_the_garbage_collector_leaves_the_libraries_alone():
    """Streamlit calls it after every run of a page, and everybody waits for it."""
    code = "import gc; from ui import server; server.options(); print(gc.get_freeze_count())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 100_000
