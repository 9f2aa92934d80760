"""Writing under runs/: the old state or the new one, never something in between."""

import os

import numpy as np
import pytest

from tl_engine.storage import atomic
from tl_engine.storage.record_files import Records


def test_a_failing_write_leaves_the_old_file_and_no_litter(tmp_path):
    target = tmp_path / "study.json"
    atomic.write(target, lambda file: file.write(b"kept"))

    def fail(file):
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        atomic.write(target, fail)
    assert target.read_text() == "kept"
    assert os.listdir(tmp_path) == ["study.json"]


def test_floats_come_back_to_the_last_bit(tmp_path):
    records, value = Records(tmp_path), {"loss": 0.1 + 0.2}
    records.write("scores.json", value)
    records.append("history.jsonl", value)
    assert records.read("scores.json") == value
    assert records.lines("history.jsonl") == [value]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_does_not_know_are_refused(tmp_path, number):
    records = Records(tmp_path)
    for write in (records.write, records.append):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write("scores.json", {"loss": number})
    assert os.listdir(tmp_path) == []


def test_arrays_come_back_without_pickles(tmp_path):
    arrays = {"0000": np.arange(6, dtype="float32").reshape(2, 3)}
    atomic.write_arrays(tmp_path / "model.npz", arrays)
    with np.load(tmp_path / "model.npz", allow_pickle=False) as loaded:
        np.testing.assert_array_equal(loaded["0000"], arrays["0000"])


def test_a_folder_is_seen_only_when_it_is_complete(tmp_path):
    def fill(folder):
        assert not (tmp_path / "study").exists()
        atomic.touch(folder / "queued")

    atomic.publish_folder(tmp_path / "study", fill)
    assert (tmp_path / "study" / "queued").exists()


def test_a_folder_that_could_not_be_filled_leaves_nothing(tmp_path):
    def fail(folder):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        atomic.publish_folder(tmp_path / "study", fail)
    assert os.listdir(tmp_path) == []


def test_what_is_deleted_is_gone(tmp_path):
    atomic.make_folder(tmp_path / "study" / "run")
    atomic.delete_folder(tmp_path / "study")
    assert [name for name in os.listdir(tmp_path) if not name.startswith(".")] == []


def test_folders_are_readable_by_their_owner_only(tmp_path):
    atomic.make_folder(tmp_path / "study")
    assert (tmp_path / "study").stat().st_mode & 0o777 == 0o700
