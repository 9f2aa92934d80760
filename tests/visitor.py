"""Visitors without a browser: sessions of the real app over its WebSocket.

To the server they are browsers: they run pages, keep their widgets' values, and come back on the
interval of a fragment that refreshes itself.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin

LONGEST_RUN = 120.0
"""Seconds."""
MAXIMUM_MESSAGE = 64 * 2**20
"""Bytes."""


@dataclass
class Visitor:
    """One session.

    Attributes:
        own: a word that this session alone knows.
        foreign: the words of others; nothing of them may arrive here.
        echoes: how often its own word arrived.
        leaks: what of the others' arrived.
        exceptions: every exception that the server drew.
        seconds: per kind of run, how long each took from the request to the end of the script.
        said: the text of every message since the page was opened.
        refreshes: the interval in seconds of each fragment that refreshes itself.
    """

    socket: ClientConnection
    own: bytes = b"?"
    foreign: tuple[bytes, ...] = ()
    echoes: int = 0
    session: str = ""
    page: str = ""
    query: str = ""
    leaks: list[bytes] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    said: list[str] = field(default_factory=list)
    refreshes: dict[str, float] = field(default_factory=dict)
    _elements: dict[str, tuple[Any, str]] = field(default_factory=dict)
    _states: dict[str, WidgetState] = field(default_factory=dict)

    async def open(self, page: str = "", query: str = "") -> None:
        """Go to a page; "" is Overview."""
        self.page, self.query = page, query
        for kept in (self.said, self.refreshes, self._elements, self._states):
            kept.clear()
        await self._run(self.name)

    async def type(self, label: str, text: str) -> None:
        """Type into the text field with this label or placeholder."""
        element, fragment = self.element(label)
        self._states[element.id] = WidgetState(id=element.id, string_value=text)
        await self._run(f"{self.name}, typing", fragment)

    async def press(self, label: str) -> None:
        """Press the button with this label."""
        element, fragment = self.element(label)
        await self._run(
            f"{self.name}, press", fragment, WidgetState(id=element.id, trigger_value=True)
        )

    async def refresh(self) -> None:
        """What a browser does when the interval of its fragments has passed."""
        for fragment in list(self.refreshes):
            await self._run(f"{self.name}, refresh", fragment)

    @property
    def name(self) -> str:
        """The page's name for people."""
        return self.page or "Overview"

    def element(self, label: str) -> tuple[Any, str]:
        """The last element whose label matches, and the fragment it belongs to.

        Raises:
            LookupError: where the page shows none.
        """
        found = [one for text, one in self._elements.items() if re.search(label, text)]
        if not found:
            raise LookupError(f"{self.name} shows no {label!r}, only {list(self._elements)}.")
        return found[-1]

    async def _run(self, what: str, fragment: str = "", trigger: WidgetState | None = None) -> None:
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_name, state.fragment_id = self.query, self.page, fragment
        state.widget_states.widgets.extend(self._states.values())
        if trigger:
            state.widget_states.widgets.append(trigger)
        began = time.perf_counter()
        await self.socket.send(message.SerializeToString())
        async with asyncio.timeout(LONGEST_RUN):
            while not self._take(await self.socket.recv(decode=False)):
                pass
        self.seconds[what].append(time.perf_counter() - began)

    def _take(self, payload: bytes) -> bool:
        """Take one message in; whether it says that the script has ended."""
        self.echoes += self.own in payload
        self.leaks += [one for one in self.foreign if one in payload]
        message = ForwardMsg.FromString(payload)
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.session = message.new_session.initialize.session_id
            if not message.metadata.run.fragment_ids:  # a whole page begins anew
                self.refreshes.clear()
        elif kind == "auto_rerun":
            self.refreshes[message.auto_rerun.fragment_id] = message.auto_rerun.interval
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            self._take_element(message.delta.new_element, message.delta.fragment_id)
        return kind == "script_finished" and (
            message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
        )

    def _take_element(self, element: Any, fragment: str) -> None:
        kind = element.WhichOneof("type")
        shown = getattr(element, kind)
        if kind == "exception":
            self.exceptions.append(str(shown))
        for name in ("body", "value", "label", "placeholder"):
            text = getattr(shown, name, "")
            if isinstance(text, str) and text:
                self.said.append(text)
                if getattr(shown, "id", "") and name in ("label", "placeholder"):
                    self._elements[text] = (shown, fragment)


@asynccontextmanager
async def visitor(
    address: str, own: bytes = b"?", foreign: tuple[bytes, ...] = (), **headers: str
) -> AsyncIterator[Visitor]:
    """Connect a session to the server at this address."""
    stream = f"{address.replace('http', 'ws', 1)}/_stcore/stream"
    options: dict[str, Any] = {"additional_headers": headers, "max_size": MAXIMUM_MESSAGE}
    async with connect(stream, origin=Origin(address), **options) as socket:
        yield Visitor(socket, own, foreign)
