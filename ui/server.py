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
    import_module("ui.figures")
    gc.freeze()


class Doorkeeper:
    """Answers 403 to other hosts and to pages of other sites, before anything looks further.

    Streamlit does so for WebSockets only, and asks the internet for its own address to decide.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
        elif _is_welcome(Headers(scope=scope)):
            await self.app(scope, receive, _with_headers(send))
        else:
            await PlainTextResponse("Forbidden", 403)(scope, receive, send)


def _is_welcome(headers: Headers) -> bool:
    """Whether host and origin, where a browser names one, are those of this server."""
    origin = headers.get("origin")
    return is_host_allowed(headers.get("host")) and (
        origin is None
        or is_host_allowed(urlsplit(origin).netloc)
        or origin in st.get_option("server.corsAllowedOrigins")
    )


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return send_with_headers
