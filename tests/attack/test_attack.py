"""Any byte of any file, any kind of file, any name: no traceback, no hang, no wrong number, and
nothing else hidden. `python -m tests.attack --cases 2000` asks every page and command each time."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attack.__main__ import Attack, summary
from tests.attack.store import build

CASES = 12 * int(os.environ.get("THAW_ATTACKS", "1"))


@pytest.fixture(scope="module")
def reference() -> Iterator[Path]:
    """A trained store; in a folder of its own, since what is attacked is copied many times."""
    folder = Path(tempfile.mkdtemp(prefix="thaw-attack-"))
    yield build(folder / "reference")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.long
@pytest.mark.timeout(300 + 10 * CASES)
def test_an_attacked_store_shows_no_traceback_no_wrong_number_and_all_that_is_sound(
    reference: Path,
) -> None:
    seed = int(os.environ.get("THAW_SEED", "1"))
    lines = []
    with Attack(reference, reference.with_name("cases"), seed, "brief") as attack:
        for number in range(CASES):
            case, failures = attack.case(number)
            lines.append(
                {
                    "number": number,
                    "kind": case.kind,
                    "failures": [failure._asdict() for failure in failures],
                }
            )
    assert not any(line["failures"] for line in lines), f"seed {seed}\n{summary(lines)}"


@pytest.mark.long
def test_an_untouched_store_passes(reference: Path) -> None:
    with Attack(reference, reference.with_name("cases"), 1) as attack:
        assert attack.untouched() == []
