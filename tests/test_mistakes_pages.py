"""What Compare shows of finished runs image by image, without a browser."""

import re
import shutil

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests import fake_run
from tests.test_pages import assert_whole, tables, words
from tl_engine.analysis.predictions import confusion_counts
from tl_engine.data import sources
from tl_engine.data.splits import published_validation
from tl_engine.runs import ClaimedRun, RunState, RunStore
from tl_engine.runs.run_outputs import probabilities
from tl_engine.text import markup

PARTS = {
    "agreement": ["agreement"],
    "confusion": ["confusion"],
    "mistakes": ["mistakes"],
    "classes": ["differences_by_class"],
    "calibration": ["confidence", "calibration"],
}
"""Names of what composes them."""
CLOTHES = "cell-fashion-mini"


def draw(root, composers, pairs, arms, title):
    """A page of one part; runs of other pairs are left out; the first arm may have a title."""
    from tl_engine.report.arms import arms_of
    from tl_engine.report.parts import CLOSER
    from tl_engine.report.shown_results import Results
    from tl_engine.runs import RunStore
    from ui.compare.part_views import show_alone

    runs = [run for study in RunStore(root).studies() for run in study.runs() if run.pair in pairs]
    shown = arms_of(runs)[:arms]
    shown[0] = shown[0]._replace(title=title or shown[0].title)
    results = Results(runs, shown, tuple(shown) if arms == 2 else None)
    for part in [part for parts in CLOSER.values() for part in parts]:
        if part.compose.__name__ in composers:
            show_alone(part, results)


def visit(root, part, pairs=(1,), arms=2, title=""):
    given = {"root": str(root), "composers": PARTS[part]}
    arguments = {**given, "pairs": pairs, "arms": arms, "title": title}
    return AppTest.from_function(draw, kwargs=arguments, default_timeout=30).run()


def pictures(app):
    """The pieces of HTML that show pictures, and how many each has."""
    return [html.proto.body for html in app.get("html")]


def counted(app):
    return [body.count("<figure") for body in pictures(app)]


def captions(app):
    return [caption.value.replace("\\", "") for caption in app.caption]


def of_first_pair(study):
    """What both arms said of their validation images: classes (n,) each, and the labels."""
    both = [probabilities(run) for run in study.runs() if run.pair == 1]
    said = [arrays["validation"].argmax(axis=1) for arrays in both]
    return *said, both[0]["validation_labels"]


@pytest.fixture(scope="module")
def several(finished, tmp_path_factory):
    """Two arms of four pairs: a real pair, and what other seeds may have said of its images."""
    store = RunStore(tmp_path_factory.mktemp("several") / "runs")
    study = store.create(finished.study.__class__(**{**vars(finished.study), "pairs": 4}))
    real = {run.arm: run for run in finished.runs()}
    for run in study.runs():
        arrays = dict(probabilities(real[run.arm]))
        random = np.random.default_rng([run.pair, len(run.arm)])
        said, labels = arrays["validation"].astype(float), arrays["validation_labels"]
        noisy = said * random.uniform(0.2, 1, said.shape)
        arrays["validation"] = (noisy / noisy.sum(axis=1, keepdims=True)).astype(np.float16)
        predicted = arrays["validation"].argmax(axis=1)
        confusion = confusion_counts(labels, predicted, said.shape[1]).tolist()
        claimed = ClaimedRun(run)
        claimed.begin()
        for line in real[run.arm].epochs():
            claimed.append_epoch(line)
        claimed.commit(fake_run.state(2))
        splits = {**real[run.arm].scores["splits"]}
        splits["validation"] = {**splits["validation"], "confusion": confusion}
        claimed.record_results({"splits": splits, "phases": []}, arrays)
        claimed.end(RunState.FINISHED, "Every epoch is done.", 1.0)
    return study


@pytest.mark.parametrize("part", PARTS)
def test_every_part_opens_whole_on_one_pair_and_on_several(part, finished, several):
    for study, pairs in ((finished, (1,)), (several, (1, 2, 3, 4))):
        app = visit(study.path.parent, part, pairs)
        assert_whole(app)
        assert len(app.subheader) == 1


@pytest.mark.parametrize("part", PARTS)
def test_every_part_says_when_it_will_be_there(part, store):
    from tests.conftest import tiny_study

    store.create(tiny_study())
    app = visit(store.root, part)
    assert_whole(app)
    assert re.search("when a (run|pair) has finished", words(app))
    assert not pictures(app)


@pytest.mark.parametrize("part", ["confusion", "mistakes", "calibration"])
def test_one_arm_alone_is_shown(part, finished):
    app = visit(finished.path.parent, part, arms=1)
    assert_whole(app)
    assert not app.error


def test_an_agreement_s_cell_shows_its_images(finished):
    app = visit(finished.path.parent, "agreement")
    first, second, labels = of_first_pair(finished)
    expected = int(((first == labels) & (second != labels)).sum())
    assert not pictures(app)
    app.selectbox(key="agreement-of").set_value("first").run()
    assert_whole(app)
    assert counted(app) == [min(expected, 24)]
    assert any(str(expected) in caption for caption in captions(app))
    (body,) = pictures(app)
    assert body.count("✓") == body.count("✗") == min(expected, 24)


def test_mcnemar_is_shown_of_two_checkpoints_and_never_of_several(several):
    app = visit(several.path.parent, "agreement", (1, 2, 3, 4))
    (table,) = tables(app)
    assert not [row for row in table if "McNemar" in row[0]]
    app.selectbox(key="agreement-pair").set_value(2).run()
    (table,) = tables(app)
    (row,) = [row for row in table if "McNemar" in row[0]]
    assert row[1].endswith("these two checkpoints, not these two recipes")
    assert any("Two seeds of" in row[0] and "6 couples" in row[0] for row in table)
    assert "significant" not in words(app)


def test_images_that_are_not_the_same_are_refused_in_a_sentence(finished, tmp_path):
    root = tmp_path / "runs"
    shutil.copytree(finished.path, root / finished.id)
    study = RunStore(root).studies()[0]
    run = study.runs()[1]
    arrays = {**probabilities(run)}
    arrays["validation_indices"] = arrays["validation_indices"][::-1]
    claimed = ClaimedRun(run)
    claimed.record_results({**run.scores}, arrays)
    claimed.end(RunState.FINISHED, "Every epoch is done.", 1.0)  # it names what is there
    app = visit(root, "agreement")
    assert "the indices of 1,000 of 1,000 rows differ" in words(app)
    assert not app.exception


def test_a_cell_that_is_chosen_by_its_classes_shows_its_images(finished):
    app = visit(finished.path.parent, "confusion")
    first, second, labels = of_first_pair(finished)
    true, said = divmod(int(confusion_counts(labels, first, 10).argmax()), 10)
    app.segmented_control(key=f"{CLOTHES}-of").set_value("first")
    app.selectbox(key=f"{CLOTHES}-true").set_value(true)
    app.selectbox(key=f"{CLOTHES}-said").set_value(said).run()
    assert_whole(app)
    there = (labels == true) & (first == said)
    assert counted(app) == [min(int(there.sum()), 24)]
    assert f"{there.sum():,} images" in " ".join(captions(app))
    app.segmented_control(key=f"{CLOTHES}-of").set_value("difference").run()
    gained = int((there & (second != said)).sum())
    lost = int(((labels == true) & (second == said) & (first != said)).sum())
    assert counted(app) == [min(n, 24) for n in (gained, lost) if n]


def test_the_pictures_are_those_of_the_published_validation_split(finished):
    from tl_engine.charts.html_pictures import Thumbnail, thumbnails

    app = visit(finished.path.parent, "mistakes", arms=1)
    run = finished.runs()[0]
    arrays = probabilities(run)
    wrong = arrays["validation"].argmax(axis=1) != arrays["validation_labels"]
    sure = arrays["validation"].max(axis=1) * wrong
    position = arrays["validation_indices"][sure.argmax()]
    pixels = published_validation(sources.load("fashion-mini")).images[position]
    image = re.search('base64,[^"]+', thumbnails([Thumbnail(pixels, "", ())])).group()
    assert image in pictures(app)[0].split("</figure>")[0]


def test_more_images_than_a_page_holds_are_turned_over(finished):
    app = visit(finished.path.parent, "mistakes", arms=1)
    run = finished.runs()[0]
    validation = run.scores["splits"]["validation"]
    mistakes = validation["total"] - validation["correct"]
    assert captions(app) == [f"24 of {mistakes:,} images, {mistakes - 24:,} more"]
    assert counted(app) == [24]


def test_an_image_that_several_seeds_mistake_is_shown_once(several):
    app = visit(several.path.parent, "mistakes", (1, 2, 3, 4), arms=1)
    (body,) = pictures(app)
    sources = re.findall('base64,[^"]+', body)
    assert len(set(sources)) == len(sources) == 24
    assert re.search("in [1-4] of 4 pairs", body)
    assert any("predictions)" in caption for caption in captions(app))


def test_the_classes_confused_most_are_shown_with_examples(finished):
    app = visit(finished.path.parent, "mistakes", arms=1)
    app.segmented_control(key="mistakes-kind").set_value("Classes confused most").run()
    assert_whole(app)
    lines = [m.value for m in app.markdown if "mistakes;" in m.value]
    images = [
        int(re.search(r"([\d,]+) mistakes", line).group(1).replace(",", "")) for line in lines
    ]
    assert images == sorted(images, reverse=True)
    assert counted(app) == [min(n, 8) for n in images]


def test_classes_have_intervals_from_four_pairs_on(several):
    for pairs, has in (((1, 2, 3), False), ((1, 2, 3, 4), True)):
        app = visit(several.path.parent, "classes", pairs)
        assert_whole(app)
        (table,) = tables(app)
        place = table[0].index("p, Holm")
        assert any(row[place] != "–" for row in table[1:]) is has
        assert ("Intervals take at least 4 pairs" in words(app)) is not has


def test_calibration_lists_every_finished_run(several):
    app = visit(several.path.parent, "calibration", (1, 2, 3, 4))
    (table,) = tables(app)
    assert len(table) == 1 + 8
    ece = table[0].index("ECE")
    assert all(row[ece].endswith("%") for row in table[1:])


@pytest.mark.parametrize("part", PARTS)
def test_a_hostile_arm_stays_text_in_every_part(part, finished):
    title = "<img src=x onerror=alert(1)> **b** :red[x]"
    app = visit(finished.path.parent, part, title=title)
    if part == "agreement":
        app.selectbox(key="agreement-of").set_value("both").run()
    if part == "confusion":
        for name in ("true", "said"):
            app.selectbox(key=f"{CLOTHES}-{name}").set_value(0)
        app.segmented_control(key=f"{CLOTHES}-of").set_value("first").run()
    assert_whole(app)
    assert all("<img src=x" not in body for body in pictures(app))
    assert all(markup(title) in body for body in pictures(app))
    for text in [m.value for m in (*app.markdown, *app.caption)]:
        assert not re.search(r"(?<!\\)(<img|\*\*b|:red)", text)


def test_what_is_summed_over_seeds_says_that_each_image_is_counted_once_per_seed(finished, several):
    for part in ("confusion", "agreement", "mistakes"):
        summed = visit(several.path.parent, part, (1, 2))
        assert "each image is counted once per seed" in " ".join(captions(summed))
        one = visit(finished.path.parent, part)
        assert "once per seed" not in " ".join(captions(one))
