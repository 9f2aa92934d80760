"""Writing under runs/: the old state or the new one, never something in between."""

import os

import numpy as np
import pytest

from tl_engine.storage import atomic


def test_a_failing_write_leaves_the_old_file_and_no_litter(tmp_path):
    target = tmp_path / "study.json"
    atomic.write_json(target, {"kept": 1})

    def fail(file):
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        atomic.write(target, fail)
    assert target.read_text() == '{\n "kept": 1\n}\n'
    assert os.listdir(tmp_path) == ["study.json"]


def test_floats_come_back_to_the_last_bit(tmp_path):
    import json

    value = {"loss": 0.1 + 0.2}
    atomic.append_line(tmp_path / "history.jsonl", value)
    assert json.loads((tmp_path / "history.jsonl").read_text()) == value


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
