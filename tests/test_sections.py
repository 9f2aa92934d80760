"""Sections: what Compare and Explain show can be composed whole, without a server."""

import ast
import subprocess
import sys

import pandas as pd
import plotly.graph_objects as go
import pytest

from tests.conftest import PROJECT
from tl_engine.charts.style import figure
from tl_engine.errors import StoreError
from tl_engine.report.arms import arms_of
from tl_engine.report.parts import CLOSER, EVIDENCE, EXPLAIN, SETTINGS, composed
from tl_engine.report.section import Drawing, Section, charted
from tl_engine.report.sections import agreement_sections
from tl_engine.report.shown_results import results_of
from tl_engine.text import plain

COMPARE = [*EVIDENCE, SETTINGS, *(part for parts in CLOSER.values() for part in parts)]
FRAME = pd.DataFrame({"x": [1.0], "y": [2.0]})


def results(study, arms=2):
    """The results of a study's first arms, of which two are compared."""
    runs = study.runs()
    keys = [arm.key for arm in arms_of(runs)[:arms]]
    chosen = [run for run in runs if (run.study.id, run.arm) in keys]
    return results_of(chosen, keys)


def test_every_section_of_a_finished_study_is_composed_without_a_server(finished):
    code = f"""
import sys
from tl_engine.errors import StoreError
from tl_engine.report.parts import CLOSER, EVIDENCE, EXPLAIN, SETTINGS, composed
from tl_engine.report.sections import agreement_sections
from tl_engine.report.arms import arms_of
from tl_engine.report.shown_results import results_of
from tl_engine.runs import RunStore

runs = RunStore({str(finished.path.parent)!r}).studies()[0].runs()
results = results_of(runs, [arm.key for arm in arms_of(runs)])
parts = [*EVIDENCE, SETTINGS, *EXPLAIN, *(part for parts in CLOSER.values() for part in parts)]
figures = [section.figure for part in parts for section in composed(part, results)]
print(sum(figure is not None for figure in figures))
print(sorted({{"streamlit", "ui", "tensorflow", "keras"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    drawn, loaded = done.stdout.split("\n")[:2]
    assert int(drawn) >= 24
    assert loaded == "[]"


@pytest.mark.parametrize("part", [*COMPARE, *EXPLAIN], ids=lambda part: part.compose.__name__)
def test_a_section_says_what_it_shows_and_gives_what_is_behind_its_figure(part, finished):
    for section in composed(part, results(finished)):
        title, subtitle = section.titles
        words = (title, subtitle, section.text, *section.notes, section.method)
        assert any(words) or section.table is not None or section.pictures is not None
        if section.drawing:
            assert title and subtitle and section.alt
            assert isinstance(section.figure, go.Figure)
            assert len(section.frame().columns)


@pytest.mark.parametrize("arms", [1, 2])
def test_keys_of_the_sections_of_a_page_are_told_apart(arms, finished):
    study = results(finished, arms)
    for parts in ([*EVIDENCE, SETTINGS], EXPLAIN, *CLOSER.values()):
        keys = [section.key for part in parts for section in composed(part, study)]
        assert len(keys) == len(set(keys))


def test_one_arm_alone_has_every_section_but_those_of_two(finished):
    alone = results(finished, arms=1)
    for part in [*COMPARE, *EXPLAIN]:
        assert not (part.needs_two_arms and composed(part, alone))
    assert [section.key for section in composed(EVIDENCE[5], alone)] == ["curves"]
    with pytest.raises(ValueError, match="compares two arms"):
        alone.judgement.verdict  # noqa: B018


def test_a_figure_without_alt_or_numbers_and_a_section_without_a_word_are_refused():
    drawing = Drawing(figure, ("Title", "subtitle"))
    with pytest.raises(ValueError, match="section a needs an alt text and its numbers"):
        Section(key="a", drawing=drawing, numbers=FRAME)
    with pytest.raises(ValueError, match="section a needs an alt text and its numbers"):
        Section(key="a", drawing=drawing, alt="Two points")
    with pytest.raises(ValueError, match="Section a says nothing"):
        Section(key="a")


def test_a_figure_is_drawn_and_its_numbers_are_read_when_they_are_asked_for():
    asked = []

    def draw(frame):
        asked.append("figure")
        return figure("Letters &amp; signs", "validation split,<br>2 seeds")

    def numbers():
        asked.append("numbers")
        return FRAME

    drawing = Drawing(draw, (FRAME,), "a run: 8 steps")
    section = charted("a", "Two points", drawing, numbers=numbers)
    assert not asked
    assert section.titles == ("Letters & signs", "validation split, 2 seeds a run: 8 steps")
    assert asked == ["figure"]
    assert section.frame() is FRAME
    assert charted("b", "One point", Drawing(draw, (FRAME,))).frame() is FRAME


def test_words_that_people_gave_are_handed_on_as_they_are(finished):
    hostile = "<img src=x> **b** :red[x]"
    whole = results(finished)
    arms = [arm._replace(title=f"{hostile} {arm.title}") for arm in whole.arms]
    renamed = type(whole)(whole.runs, arms, (arms[0], arms[1]))
    texts = [section.text for part in COMPARE for section in composed(part, renamed)]
    assert any(plain(hostile) in text for text in texts)
    assert not any("\\" in text or "&lt;" in text for text in texts)


def test_damaged_predictions_take_one_section_of_explain_and_no_other(finished, monkeypatch):
    def damaged(run):
        raise StoreError(f"{run.id}/probabilities.npz is damaged.")

    charts = next(part for part in EXPLAIN if part.compose.__name__ == "phase_charts")
    whole = [section.key for section in composed(charts, results(finished))]
    monkeypatch.setattr(agreement_sections, "predictions_of", damaged)
    *others, last = composed(charts, results(finished))
    assert [section.key for section in others] == whole[:-1]
    assert (last.key, last.drawing) == ("error", None)
    assert "is damaged" in last.text


REPORT = sorted((PROJECT / "tl_engine" / "report").rglob("*.py"))
BELOW = {
    *("analysis", "catalog", "charts", "data", "report", "runs", "storage"),
    *("errors", "metric", "recipe", "study", "text"),
}


def imports(path):
    nodes = ast.walk(ast.parse(path.read_text()))
    return [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]


@pytest.mark.parametrize("path", REPORT, ids=lambda path: path.stem)
def test_a_report_is_composed_from_what_lies_below_it(path):
    used = {module.split(".")[1] for module in imports(path) if module.startswith("tl_engine.")}
    assert used <= BELOW


@pytest.mark.parametrize("path", sorted((PROJECT / "ui" / "compare").glob("*.py")))
def test_controls_draw_no_chart_of_their_own(path):
    charts = {module for module in imports(path) if module.startswith("tl_engine.charts")}
    assert charts <= {"tl_engine.charts.heatmap_cells"}  # the cells that can be clicked
