"""The glossary: a line for each term, and pages that show these lines as help."""

import re

import pytest

from tests.conftest import PROJECT
from tl_engine.catalog.glossary import explain
from tl_engine.recipe import SETTINGS

TEXT = (PROJECT / "docs" / "glossary.md").read_text()
PAGES = [*PROJECT.glob("pages/*.py"), *PROJECT.glob("ui/**/*.py"), PROJECT / "app.py"]


def test_every_term_stands_once_with_a_sentence():
    terms = re.findall(r"^\*\*(.+?)\*\*", TEXT, re.MULTILINE)
    assert len(terms) > 50
    assert len(terms) == len({term.casefold() for term in terms})
    for term in terms:
        assert explain(term).endswith("."), term


def test_every_line_of_the_glossary_that_begins_in_bold_can_be_read():
    bold = [line for line in TEXT.splitlines() if line.startswith("**")]
    assert len(bold) == len(re.findall(r"^\*\*[^*]+\*\*: .+\.$", TEXT, re.MULTILINE))


def test_every_term_that_a_page_explains_is_in_the_glossary():
    used = {
        term for path in PAGES for term in re.findall(r'\bexplain\("([^"]+)"\)', path.read_text())
    }
    used |= {one.term for one in SETTINGS.values() if one.term}
    assert len(used) >= 10
    for term in used:
        assert explain(term)


def test_a_term_that_is_not_there_is_an_error():
    with pytest.raises(KeyError):
        explain("Phlogiston")
