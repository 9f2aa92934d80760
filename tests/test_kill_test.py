"""Real training under fire: `python -m tl_engine kill-test`, smaller."""

import os
import shutil

import pytest

from tests import fake_run
from tests.conftest import tiny_study
from tl_engine.errors import StoreError
from tl_engine.execution.kill_test import Report, bits, kill_test

KILLS = int(os.environ.get("THAW_KILLS", "30"))
"""In the suite; `make kill-test` asks for more."""


def fight(events):
    """The report, after everything that was said on the way."""
    said = []
    while True:
        try:
            said.append(next(events))
        except StopIteration as ended:
            return ended.value, said


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_kills_lose_nothing_and_change_no_bit(store):
    report, said = fight(kill_test(store, KILLS, seed=7))
    assert report.kills.total() == KILLS, said
    assert report.is_clean, "\n".join([*said, str(report)])
    assert report.resumed > 0
    assert report.runs < KILLS  # it killed while runs were trained, not after their ends


def test_other_bits_are_told(finished, store):
    one = finished.runs()[0]
    shutil.copytree(finished.path, store.root / finished.id)
    other = store.study(finished.id).runs()[0]
    assert bits(one) == bits(other)
    first, *rest = other.epochs()
    first["val_loss"] += 1e-15
    fake_run.rewrite(other, "history.jsonl", [first, *rest])
    assert bits(one) != bits(other)


def test_a_run_that_has_not_finished_has_no_bits_to_compare(store):
    with pytest.raises(StoreError, match="is queued"):
        bits(store.create(tiny_study()).runs()[0])


def test_a_report_is_clean_only_without_loss_and_with_the_same_bits_everywhere():
    assert Report(runs=3, identical=3).is_clean
    assert not Report(runs=3, identical=2).is_clean
    assert not Report(runs=3, identical=3, lost=1).is_clean
