"""The server round the pages: whom it answers, and what becomes of what a page did not expect."""

from __future__ import annotations

import ctypes
import gc
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

from ui import access, frame

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of glibc's mallopt, from its malloc.h."""
LARGE = 128 * 1024
"""Bytes: glibc's own beginning, which it raises by itself unless it is set."""
PORTS = {"http": 80, "https": 443}
"""By scheme, the port of an address that names none."""
HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'none'; object-src 'none'; base-uri 'self'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def options() -> dict[str, Any]:
    """What app.py makes its server with; ends the process where nobody may be served."""
    sentence = access.refusal()
    if sentence:
        raise SystemExit(sentence)
    _share_memory()
    _set_libraries_aside()
    return {"middleware": [Middleware(Doorkeeper)], "on_script_error": frame.report}


def _share_memory() -> None:
    """Let all threads take memory from two of glibc's pools instead of eight per core, and give
    large pieces back to the system at once.

    Python runs one thread at a time, and what one visitor's thread gives back then serves the next
    one's: 30 MB less after charts of 1,000 runs. Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_ARENA_MAX, 2)
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_TRIM_THRESHOLD, LARGE)


def _set_libraries_aside() -> None:
    """Load what pages need, and let the garbage collector forget it.

    Streamlit collects after every run of a page while all others wait: 75 ms to walk through the
    libraries, nothing once they are set aside.
    """
    import_module("ui.section_view")
    gc.freeze()


class Doorkeeper:
    """Answers 403 to other hosts and to pages of other origins, before anything looks further.

    Streamlit does so for WebSockets only, and asks the internet for its own address to decide.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
        elif _is_welcome(Headers(scope=scope), scope["scheme"]):
            await self.app(scope, receive, send_with_headers)
        else:
            await PlainTextResponse("Forbidden", 403)(scope, receive, send)


def _is_welcome(headers: Headers, scheme: str) -> bool:
    """Whether the host is this server's and whoever asks is not a page of another origin.

    Browsers name the origin of the page with every request that could change something. Programs
    that are no browsers name none and are not what this guards against.
    """
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or len(origins) > 1 or not is_host_allowed(hosts[0]):
        return False
    return (
        not origins
        or is_own_origin(origins[0], hosts[0], scheme)
        or origins[0] in st.get_option("server.corsAllowedOrigins")
    )


def is_own_origin(origin: str, host: str, scheme: str) -> bool:
    """Whether an Origin is that of the page that a request's Host and scheme belong to.

    Scheme, name and port have to be the same: a page on another port of this machine is another
    program's. `localhost` and `127.0.0.1` are two names, as they are to browsers. A proxy that
    speaks TLS asks in plain http for pages that are https, except on this machine's own names.

    Args:
        scheme: of the request: http, https, ws or wss.
    """
    server_scheme = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    try:
        origin_scheme = urlsplit(origin).scheme
        name, port = _name_and_port(origin, origin_scheme)
        expected = _name_and_port(f"{server_scheme}://{host}", origin_scheme)
    except ValueError:
        return False
    schemes = {server_scheme} if access.is_loopback(name) else {server_scheme, "https"}
    return origin_scheme in schemes and (name, port) == expected


def _name_and_port(origin: str, scheme: str) -> tuple[str, int]:
    """The host's name and the port, where none is written that of the scheme.

    Raises:
        ValueError: for what is no origin: it has a path, a user or no host.
    """
    parts = urlsplit(origin)
    if parts.scheme not in PORTS or scheme not in PORTS or not parts.hostname:
        raise ValueError(origin)
    if origin != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        raise ValueError(origin)
    return parts.hostname.rstrip("."), parts.port or PORTS[scheme]
