"""Text that people gave: clean, and without meaning wherever it is shown."""

import ast
import csv
import io
import re
from html import unescape
from unicodedata import category, normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import PROJECT, tiny_recipe, tiny_study
from tl_engine.errors import RecipeError, StoreError
from tl_engine.report.amounts import about
from tl_engine.study import Arm, Study
from tl_engine.text import WORD_JOINER, cell, counted, escape, lines, markup, plain
from ui.section_view import result

ANYTHING = st.text(st.characters(), max_size=400)  # lone surrogates too
SHOWN_BY = {"plain": plain, "escape": escape, "markup": markup, "cell": cell}


@given(ANYTHING)
def test_plain_text_is_one_clean_line(text):
    line = plain(text, 80)
    assert len(line) <= 80
    assert line == normalize("NFC", line).strip()
    assert not {category(c) for c in line} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert plain(line, 80) == line


@given(ANYTHING)
def test_plain_text_of_several_lines_is_clean_too(text):
    shown = lines(text)
    assert not {category(c) for c in shown.replace("\n", "")} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  a \t b\r\nc ", "a b c"),
        ("cafe\u0301", "caf\u00e9"),
        ("in\u202evoice\u202c", "invoice"),
        ("a\u200bd\u2060m\u00adin\ufeff", "admin"),
        ("nul\x00l \x1b[31mred", "nul l [31mred"),
        ("\udcff\ud800 half", "half"),
        ("\u3164\u2800 \u115f", ""),
        ("Größe 日本 Ω ️❤️", "Größe 日本 Ω ️❤️"),
    ],
)
def test_what_nobody_sees_is_gone_and_what_means_something_stays(text, shown):
    assert plain(text) == shown


def test_long_text_is_cut_with_an_ellipsis():
    assert plain("x" * 10_000, 60) == "x" * 59 + "…"
    assert all(len(unescape(show("é" * 10_000))) <= 301 for show in SHOWN_BY.values())


def test_lines_keep_their_indents():
    assert lines("Traceback:\n\tline 1\r\n  x\u202e\x00") == "Traceback:\n line 1\n  x "


@given(ANYTHING)
def test_no_sign_means_anything_in_markdown(text):
    shown = escape(text)
    bare = re.sub(r"\\.", "", shown)
    assert not set(bare) & set("\\`*_{}[]()#+-.!|<>~:$&=\"'^@/%")


@pytest.mark.parametrize(
    "text",
    [
        "https://a.example",
        "www.a.example",
        "me@a.example",
        ":streamlit:",
        ":material_home:",
        ":cat:",
    ],
)
def test_what_streamlit_finds_in_finished_markdown_is_parted(text):
    read = re.sub(r"\\(.)", r"\1", escape(text))  # as Markdown reads it
    assert read != text
    assert read.replace(WORD_JOINER, "") == text


@pytest.mark.parametrize("text", ["10:30", "Fine-tune first", "a: b", "x@", "www"])
def test_ordinary_text_is_not_parted(text):
    assert WORD_JOINER not in escape(text)


@given(ANYTHING)
def test_markup_reads_as_what_was_written(text):
    shown = markup(text, 80)
    assert not set(shown) & set("<>\"'{$")
    assert unescape(shown) == plain(text, 80)


@pytest.mark.parametrize("sign", "=+-@＝＋－＠")
@pytest.mark.parametrize("before", ["", " ", "\t", "\r", "\u200b", "x;", "x; ", 'x";', ";;"])
def test_no_cell_is_a_formula_in_any_spreadsheet(before, sign):
    """Excel parts cells at commas or semicolons, as the country has it; LibreOffice at both."""
    file = io.StringIO()
    csv.writer(file).writerow([cell(f"{before}{sign}1+1;{sign}2")])
    for separator in ",;":
        (row,) = csv.reader([file.getvalue()], delimiter=separator)
        assert not [found for found in row if found.lstrip()[:1] == sign]


def test_cells_without_a_formula_stay_as_they_are():
    assert cell("a=b, c-d; e@f") == "a=b, c-d; e@f"


@pytest.mark.parametrize("title", ["x" * 10_000, "", "\u200b\u2060", "\u3164"])
def test_titles_too_long_or_not_to_be_seen_are_refused(title, store):
    with pytest.raises(RecipeError, match="1 to 200 characters"):
        Study(title, (Arm("a", tiny_recipe()),))
    with pytest.raises(RecipeError, match="1 to 200 characters"):
        Study("a", (Arm(title, tiny_recipe()),))
    with pytest.raises(StoreError, match="1 to 200 characters, got"):
        store.create(tiny_study()).label(title)


def test_a_name_that_no_file_can_hold_is_refused():
    with pytest.raises(RecipeError, match=r"Unicode characters, got 'study \\udcff'"):
        Study("study \udcff", (Arm("a", tiny_recipe()),))


def test_arms_that_only_look_different_to_a_computer_are_refused():
    with pytest.raises(RecipeError, match="different names"):
        Study("a", (Arm("first", tiny_recipe()), Arm("fi\u200brst", tiny_recipe())))


def test_results_keep_their_signs_and_nothing_that_computes_does():
    for number in ("+3.43", "-0.5", "+1.55 to +4.23", "7"):
        assert result(number) == number
    for formula in ("-1+cmd", "=1", "+A1", "@x", "+1 to =1"):
        assert result(formula) == f"'{formula}"


GIVEN = {"title", "note", "arm", "class_names", "log_tail"}
"""Attributes that hold what people, or files from elsewhere, said."""
SAFE = {"cell", "escape", "lines", "plain", "table", "zip", "len", "ranked", "markup", "result"}
CHARTS = {"plotly_chart", "html"}
"""They show figures, whose functions encode names themselves."""
PAGES = [PROJECT / "app.py", *(PROJECT / "pages").glob("*.py"), *(PROJECT / "ui").glob("*.py")]


def called(node):
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def passed_round(node):
    """What is given to a widget and does not go through `tl_engine.text`."""
    if isinstance(node, ast.Call):
        if called(node) in SAFE:
            return
        if called(node) == "str":
            yield ast.unparse(node)
    if isinstance(node, ast.Attribute) and node.attr in GIVEN:
        yield ast.unparse(node)
    for child in ast.iter_child_nodes(node):
        yield from passed_round(child)


def widgets(tree):
    """Calls of Streamlit, without what stands inside their blocks."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("st.", "place.")):
            yield node


def test_the_search_for_text_passed_round_finds_it():
    tree = ast.parse('st.markdown(f"**{run.study.title}**"); st.error(str(error)); st.code(a.note)')
    found = [what for widget in widgets(tree) for what in passed_round(widget)]
    assert found == ["run.study.title", "str(error)", "a.note"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages_show_given_text_through_one_way_only(path):
    for widget in widgets(ast.parse(path.read_text())):
        if called(widget) in CHARTS:
            continue
        assert not [
            what for part in (*widget.args, *widget.keywords) for what in passed_round(part)
        ], f"{path.name}:{widget.lineno}"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "less than 1 s"), (8, "about 8 s"), (125, "about 2 min 5 s"), (None, "")],
)
def test_an_estimate_is_about_some_time_or_less_than_a_second(seconds, words):
    assert about(seconds) == words


def test_a_number_has_its_noun_in_the_right_form():
    assert [counted(number, "pair") for number in (0, 1, 3)] == ["0 pairs", "1 pair", "3 pairs"]
