"""Many visitors at once, while a run trains: nobody sees what belongs to another."""

import asyncio
import shutil

import pytest

from tests.crowd import train_one, visits
from tests.server import server
from tests.visitor import visitor
from tl_engine.runs import RunStore
from tl_engine.runs.run_requests import request_stop


@pytest.mark.long
def test_ten_visitors_share_nothing_but_the_store(finished, tmp_path):
    """The small sister of `make bench-sessions`, which measures fifty."""
    store = RunStore(tmp_path / "runs")
    shutil.copytree(finished.path, store.root / finished.id)
    run = train_one(store)
    try:
        with server(store.root) as (address, _):
            crowd = asyncio.run(visits(address, run, 10, busy=3, rounds=6, refreshing=True))
    finally:
        request_stop(run)
    assert crowd.exceptions == []
    assert crowd.leaks == []
    assert min(crowd.echoes) > 0  # its own word came back to each: a foreign one would be seen
    assert crowd.trained
    assert len(crowd.reruns) >= 3 * 6


def test_a_leak_would_be_seen(tmp_path):
    """A server whose pages keep what visitors bring in one place for all."""
    script = tmp_path / "leaky.py"
    script.write_text(
        "import streamlit as st\n"
        "@st.cache_resource\n"
        "def seen():\n"
        "    return []\n"
        "seen().append(st.query_params['word'])\n"
        "st.markdown(' '.join(seen()))\n"
    )

    async def two(address):
        async with (
            visitor(address, b"first") as one,
            visitor(address, b"other", (b"first",)) as two,
        ):
            await one.open("", "word=first")
            await two.open("", "word=other")
            return one, two

    with server(tmp_path / "runs", script) as (address, _):
        first, second = asyncio.run(two(address))
    assert first.echoes and not first.leaks
    assert second.leaks == [b"first"]
