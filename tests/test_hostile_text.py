"""Hostile names in every place that shows them, in a real browser.

The oracle is a twin: the same pages with harmless names of the same length have to be made of the
same elements. What a payload would add to a page, whatever it is, shows as a difference.
"""

import csv
import io
import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import fake_run
from tests.conftest import tiny_recipe
from tests.helpers import wait_until
from tests.server import CHROMIUM, browser, server
from tests.test_pages import with_rates
from tl_engine.recipe import Phase
from tl_engine.runs import RunStore
from tl_engine.study import Arm, Study
from tl_engine.text import WORD_JOINER, cell, plain

pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="Chromium is missing; Debian: apt install chromium, then make test",
    ),
]
PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "<svg/onload=alert(3)>",
    "<iframe src='//evil.example/4'>",
    '" onmouseover="alert(5)" x="',
    "' autofocus onfocus='alert(6)",
    "</p></div><h1>seven</h1><form action=//evil.example>",
    "<a href=javascript:alert(8)>eight</a>",
    "<style>@import '//evil.example/9'</style>",
    "&lt;script&gt;alert(10)&lt;/script&gt;",
    "![x](http://evil.example/11.png)",
    "[twelve](http://evil.example/12)",
    "[thirteen](javascript:alert(13))",
    "https://evil.example/14",
    "www.evil.example/15",
    "sixteen@evil.example",
    "[17]: http://evil.example/17 [17]",
    "**bold** _it_ ~~gone~~ `code`",
    "# head | a | b | --- | > quote",
    "- [ ] task 20 1. one",
    "```mermaid graph TD; A-->B ```",
    ":red[x] :blue-background[y] :small[z]",
    ":material/home: :material_home:",
    ":streamlit: :smile: :rainbow[24]",
    "$\\href{http://evil.example/25}{x}$",
    "$$\\frac{1}{0}$$ \\(26\\)",
    "<b>27</b><a href='http://evil.example/27'>x</a>",
    "%{x} {{28}} %{customdata[0]} ${28}",
    "<br><sub>29</sub><span style='color:red'>x</span>",
    "=cmd|' /C calc'!A0",
    "+1+1;=1+2",
    "-1+1 ; @SUM(1)",
    "@SUM(1+1)*33",
    "\t=34+1\r\n=34+2",
    "in\u202evoice\u2066 35 \u202dx",
    "a\u200bd\u200cm\u2060i\ufeffn\u00ad 36",
    "nul\x00l \x1b[31m37 \x7f",
    "../../etc/passwd 38 ..\\..\\x C:\\x",
    "👩‍👩‍👧‍👦 39 e\u0301 Z\u0351\u036b\u0343 ﷽",
    "x" * 200,
]
TRIOS = 3
"""So many runs are shown in Overview's card at once."""
SHIFT = 3
"""From a pack's title to its arm: the titles and arms of four studies show all seven packs."""


def packed(names):
    """As many names as a name has room for, again and again: places that show whole names."""
    packs = [""]
    for name in names:
        if len(packs[-1]) + len(name) > 180:
            packs.append("")
        packs[-1] += f" {name}"
    return [pack.strip()[:180] for pack in packs]


def harmless(name, number):
    return f"{number:02d}".ljust(len(plain(name)), "x")


def add(store, finished, title, note, arm):
    """A study of one finished run."""
    rate = float(f"0.001{len(store.studies()):03d}")  # equal recipes would be one comparison
    recipe = tiny_recipe(Phase("all", 1, rate), Phase("head", 1, 1e-2))
    study = store.create(Study(title, (Arm(arm, recipe),)))
    study.label(note=note)
    fake_run.take_over(study.runs()[0], finished.runs()[0])
    return study


@pytest.fixture(scope="module")
def world(finished, tmp_path_factory):
    """A server, and by kind its studies: those of one name, and those of packs.

    The arm of a pack's study is another pack, so that two runs show four of them.
    """
    store = RunStore(tmp_path_factory.mktemp("hostile") / "runs")
    with_rates(store, finished.study)
    packs, studies = packed(PAYLOADS[:-1]), {}  # the last one is long and nothing else
    for kind, disguise in (("hostile", lambda name, _: name), ("harmless", harmless)):
        names = list(map(disguise, PAYLOADS, range(99)))
        studies[kind] = [add(store, finished, *[name] * 3) for name in names]
        names = list(map(disguise, packs, range(99)))
        studies[kind + " packs"] = [
            add(store, finished, f"{kind} {place // TRIOS} {name}", name, names[place - SHIFT])
            for place, name in enumerate(names)
        ]
    with server(store.root) as (address, _):
        yield address, studies


@pytest.fixture(scope="module")
def chromium():
    with browser() as chromium:
        yield chromium


class Visitor:
    """A browser's page that notes whatever a payload might do."""

    def __init__(self, chromium, address):
        self.address, self.noticed = address, []
        self.page = chromium.new_page(viewport={"width": 1400, "height": 1000})
        self.page.set_default_timeout(60_000)
        # Chromium would ask a person where to save.
        self.page.add_init_script("delete window.showSaveFilePicker")
        self.page.on("dialog", lambda dialog: (self._note("dialog", dialog), dialog.dismiss()))
        self.page.on("pageerror", lambda error: self._note("error", error))
        self.page.on("popup", lambda popup: self._note("popup", popup.url))
        self.page.on("request", self._request)
        self.page.on("websocket", self._request)

    def _note(self, *what):
        self.noticed.append(what)

    def _request(self, request):
        host = self.address.removeprefix("http://")
        scheme, _, rest = request.url.partition(":")
        if scheme not in ("data", "blob") and rest.removeprefix("//").split("/")[0] != host:
            self._note("request", request.url)

    def open(self, path):
        self.page.goto(f"{self.address}/{path}")
        self.settle()

    def settle(self):
        """Until nothing is drawn any more."""
        page = self.page
        page.locator("[data-test-script-state=notRunning]").first.wait_for(state="attached")
        page.wait_for_function(
            "!document.querySelector('[data-testid=stSkeleton], [data-stale=true]')"
        )
        before = None
        while before != (now := page.evaluate("document.querySelectorAll('*').length")):
            before = now
            page.wait_for_timeout(250)

    def elements(self):
        """How many elements of each kind the page is made of; it has to be free of handlers."""
        page = self.page
        assert page.get_by_test_id("stException").count() == 0
        assert page.get_by_text("did not expect").count() == 0
        assert not page.evaluate(
            "[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames())"
            ".filter(name => name.startsWith('on'))"
        )
        return page.evaluate(
            """() => {
                const counts = {};
                for (const one of document.body.querySelectorAll('*')) {
                    const kind = one.closest('svg') ? `svg ${one.tagName}` : one.tagName;
                    counts[kind] = (counts[kind] || 0) + 1;
                }
                return counts;
            }"""
        )

    def words(self):
        """What the page says, on one line."""
        text = self.page.locator("body").inner_text().replace(WORD_JOINER, "")
        return " ".join(text.split())


@pytest.fixture
def visitor(world, chromium):
    one = Visitor(chromium, world[0])
    yield one
    one.page.close()
    assert not one.noticed


def same_elements(visitor, studies, draw, suffix=""):
    """Draw a page with either kind of names; its text with hostile ones."""
    harmless = draw(studies["harmless" + suffix]) or visitor.elements()
    hostile = draw(studies["hostile" + suffix]) or visitor.elements()
    assert hostile == harmless
    return visitor.words()


def ids(studies):
    return ",".join(study.id for study in studies)


def test_runs_that_train_show_their_names(world, visitor):
    def draw(studies):
        with ExitStack() as locks:
            for study in studies:
                (run,) = study.runs()
                locks.enter_context(run.hold())
                (run.path / "stop").touch()  # that something has changed is seen by the folder
            visitor.open("")
            visitor.page.get_by_text("pair 1").nth(len(studies) - 1).wait_for()
            visitor.settle()
            return visitor.elements()

    text = same_elements(visitor, world[1], draw)
    assert [p for p in PAYLOADS if plain(p) not in text] == []


def test_the_downloaded_table_has_no_formula(world, visitor):
    visitor.open("")
    table = visitor.page.get_by_test_id("stDataFrame")
    table.hover()
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("button", name="Download as CSV").click()
    file = Path(download.value.path()).read_bytes().decode("utf-8-sig")
    for separator in ",;\t":
        for row in csv.reader(io.StringIO(file), delimiter=separator):
            assert not [c for c in row if c.lstrip()[:1] in tuple("=+-@＝＋－＠\r\t") and c]
    cells = {c for row in csv.reader(io.StringIO(file)) for c in row}
    assert {cell(p) for p in PAYLOADS} <= cells


def find(visitor, studies, row=0):
    """Search Overview for a trio of studies and select its runs, or the run in one row."""
    page = visitor.page
    box = page.get_by_placeholder("Search study or arm")
    rows = page.locator(f"[role=grid][aria-rowcount='{len(studies) + 1}']")

    def searched():
        box.fill(studies[0].title[:10])  # again where a redraw took it away
        box.press("Enter")
        page.wait_for_timeout(700)
        return rows.count() == 1

    wait_until(searched)
    visitor.settle()
    page.get_by_test_id("stDataFrame").click(position={"x": 18, "y": 18 + 35 * row})  # 0: all rows
    page.get_by_role("button", name=re.compile("^.*Delete .*stud(y|ies)$")).wait_for()
    visitor.settle()


def test_cards_show_whole_names(world, visitor):
    def draw(studies):
        for first in range(0, len(studies), TRIOS):
            trio = studies[first : first + TRIOS]
            visitor.open("")
            find(visitor, trio)
            text = visitor.words()
            assert all(plain(study.title) in text for study in trio)
            yield visitor.elements()

    assert list(draw(world[1]["hostile packs"])) == list(draw(world[1]["harmless packs"]))


@pytest.mark.parametrize("button", ["Rename or note", f"Delete {TRIOS} studies"])
def test_dialogs_show_whole_names(button, world, visitor):
    def draw(studies):
        visitor.open("")
        # Only one study can be renamed; all that are selected can be deleted.
        find(visitor, studies[:TRIOS], row=0 if button.startswith("Delete") else 1)
        visitor.page.get_by_role("button", name=button).click()
        visitor.page.get_by_role("dialog").wait_for()
        visitor.settle()

    same_elements(visitor, world[1], draw, " packs")


def test_launch_takes_any_title(world, visitor):
    def draw(studies):
        visitor.open(f"Launch?clone={studies[0].id}")
        title = visitor.page.get_by_label("Title", exact=True)
        for study in studies if "hostile" in studies[0].title else studies[:1]:
            title.fill(plain(study.title))
            title.press("Enter")
            visitor.page.wait_for_timeout(200)
        visitor.settle()

    same_elements(visitor, world[1], draw, " packs")


def test_compare_draws_every_name(world, visitor):
    def draw(studies):
        visitor.open(f"Compare?ids={ids(studies)}")
        visitor.page.locator(".js-plotly-plot").nth(4).wait_for()
        visitor.settle()

    same_elements(visitor, world[1], draw)


def test_classify_shows_whose_answers_they_are(world, visitor):
    studies = world[1]["hostile packs"]
    for pair in (studies[:2], studies[2:4]):
        visitor.open("Classify?ids=" + ",".join(study.runs()[0].id for study in pair))
        visitor.page.get_by_text("As the model sees it").nth(1).wait_for(timeout=60_000)
        visitor.settle()
        text = visitor.words()
        for study in pair:
            assert plain(study.title) in text
            assert plain(study.runs()[0].arm) in text
        assert not visitor.page.locator("[data-testid=stMarkdownContainer] :is(a, img)").count()
        visitor.elements()
