"""What Overview says of the newest studies, and the small picture of an interval."""

import re

import pytest

from tests import fake_run
from tests.conftest import tiny_recipe, tiny_study
from tests.test_pages import assert_whole, finish, visit, words
from tl_engine.charts.svg_pictures import EDGE, WIDTH, interval_svg
from tl_engine.errors import StoreError
from tl_engine.study import Study, name_arms
from ui.overview import question_cards

HEADING = "What the evidence says"


@pytest.fixture(autouse=True)
def no_real_processes(launches):
    """A page starts real workers and measurements; these tests look at pages only."""


def trained(store, pairs=4, study=None, behind=0.02):
    """A study whose first arm is behind."""
    made = store.create(study or tiny_study(*fake_run.PHASES, pairs=pairs))
    first = made.study.arms[0].name
    for run in made.runs():
        finish(run, behind * (run.arm == first) * (1 + 0.01 * run.pair))
    return made


def test_overview_says_what_compare_says_of_the_newest_studies(store, monkeypatch):
    study = trained(store)
    app = visit("app.py", store, monkeypatch)
    assert_whole(app)
    assert HEADING in words(app)
    assert "4 of 4 planned pairs" in words(app)
    sentence = re.compile("Freeze first is better than .* that matter")
    compare = words(visit("pages/2_Compare.py", store, monkeypatch, ids=study.id))
    assert sentence.search(words(app)).group() in compare


def test_where_nothing_can_be_compared_overview_says_nothing_of_evidence(store, monkeypatch):
    study = store.create(tiny_study(*fake_run.PHASES, pairs=2))
    for run in study.runs():
        if run.arm_index == 0:
            finish(run, 0.0)
    assert HEADING not in words(visit("app.py", store, monkeypatch))


def test_of_a_study_of_many_arms_one_contrast_stands_for_all(store, monkeypatch):
    changes = ({}, {"head_input": "pooled-max"}, {"batchnorm": "adapt"})
    recipes = [tiny_recipe(*fake_run.PHASES, **one) for one in changes]
    trained(store, study=Study("Factors", name_arms(recipes), 4))
    app = visit("app.py", store, monkeypatch)
    assert_whole(app)
    assert "one of 2 contrasts that can be compared" in words(app)


def test_a_look_is_called_a_look(store, monkeypatch):
    trained(store, pairs=2)
    assert "a look, not evidence" in words(visit("app.py", store, monkeypatch))


def test_only_the_newest_studies_are_told_of(store, monkeypatch):
    for size in range(question_cards.SHOWN + 1):
        trained(store, study=tiny_study(*fake_run.PHASES, pairs=2, batch_size=8 + size))
    assert (
        words(visit("app.py", store, monkeypatch)).count("a look, not evidence")
        == question_cards.SHOWN
    )


@pytest.mark.parametrize("place", [0, 3, -1])
def test_a_damaged_run_takes_nothing_but_its_study_s_evidence(store, monkeypatch, place):
    older = trained(store, study=tiny_study(*fake_run.PHASES, pairs=2, batch_size=8))
    newer = trained(store)
    file = newer.runs()[place].path / "history.jsonl"
    file.write_bytes(b"x" + file.read_bytes()[1:])
    app = visit("app.py", store, monkeypatch)
    assert_whole(app)
    assert "is better than" not in words(app)
    assert words(app).count("a look, not evidence") == 1
    assert len(app.dataframe[0].value) == len(older.runs()) + len(newer.runs())


def test_a_run_that_is_gone_when_it_is_read_takes_nothing_with_it(store, monkeypatch):
    study = trained(store)

    def gone(runs):
        raise StoreError("There is no run any more.")

    monkeypatch.setattr(question_cards, "joined_history", gone)
    assert question_cards._judge(study.runs()) is None


def places(svg):
    """Where the band, no difference, the interval and its mean are drawn."""
    (band,) = re.findall(r'<rect x="([\d.]+)" y="4" width="([\d.]+)"', svg)
    lines = re.findall(r'<line x1="([\d.]+)".*?x2="([\d.]+)"', svg)
    (mean,) = re.findall(r'<circle cx="([\d.]+)"', svg)
    return [float(x) for x in band], [[float(x) for x in line] for line in lines], float(mean)


@pytest.mark.parametrize(
    ("mean", "low", "high"), [(0.01, 0.004, 0.016), (-0.02, -0.05, 0.01), (0.0, 0.0, 0.0)]
)
def test_the_picture_is_to_scale_and_inside_its_frame(mean, low, high):
    (left, wide), (_, zero, interval), dot = places(
        interval_svg(mean, low, high, 0.005, "#7C5CD6", 'A "quoted" <b>name</b>')
    )
    middle = WIDTH / 2
    assert zero == [middle, middle]
    assert left + wide / 2 == pytest.approx(middle, abs=0.1)
    per_unit = wide / 0.01
    assert dot == pytest.approx(middle + mean * per_unit, abs=0.2 + 0.02 * abs(mean * per_unit))
    assert EDGE <= interval[0] <= dot <= interval[1] <= WIDTH - EDGE
    assert (interval[1] > middle) is (high > 0)


def test_names_cannot_become_markup_in_the_picture():
    svg = interval_svg(0.0, -1.0, 1.0, 0.5, "#7C5CD6", '"><script>')
    assert "<script" not in svg
