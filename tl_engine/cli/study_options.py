"""The study that options describe: a preset, changed."""

import argparse
import dataclasses
from typing import Any

from tl_engine.catalog.presets import PRESETS, preset
from tl_engine.cli.printing import argument, flag, whole
from tl_engine.data.registry import checked_study
from tl_engine.errors import Problem, RecipeError
from tl_engine.machine import recommended_settings
from tl_engine.recipe import SETTINGS, Phase, Recipe
from tl_engine.study import Study

STUDY_OPTIONS = (
    argument(
        "--preset",
        default="try-it",
        help="where to start. " + "; ".join(f"{p.name}: {p.description}" for p in PRESETS.values()),
    ),
    argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change a setting, such as train_images=500, dataset=cifar10, pretrained=false",
    ),
    argument(
        "--phase",
        action="append",
        default=[],
        metavar="TRAINABLE:EPOCHS:RATE[:OPTIMIZER[:SCHEDULE[:PATIENCE]]]",
        help="the phases of one arm, in order, instead of the preset's: all:2:1e-5, head:4:1e-3, "
        "3:1:1e-4 (top 3 blocks), head:20:1e-3:adam:cosine:3 (ends after 3 epochs without gain)",
    ),
    flag("--reverse", help="add the reversed order as an arm"),
    argument("--pairs", type=whole, help="number of paired seeds, 1 to 100"),
    argument("--title", help="what to call the study, 1 to 200 characters"),
)
"""What `study_from` reads."""


def study_from(options: argparse.Namespace) -> Study:
    """The study that the options describe.

    Raises:
        RecipeError, CatalogError: for what cannot be trained.
    """
    base = preset(options.preset)
    changed = dict(map(setting, options.set))
    settings = {**base.settings, **changed}
    is_augmented = settings.get("augmentation") is True
    settings = recommended_settings(augmentation=is_augmented) | settings
    wanted = dataclasses.replace(
        base,
        title=base.title if options.title is None else options.title,
        settings=settings,
        orders=[tuple(map(phase, options.phase))] if options.phase else base.orders,
        reverse=options.reverse or (base.reverse and not options.phase),
        pairs=base.pairs if options.pairs is None else options.pairs,
        varied={name: values for name, values in base.varied.items() if name not in changed},
    )
    study = checked_study(wanted.study())
    if options.reverse and all(arm.recipe.reversed() == arm.recipe for arm in study.arms):
        sentence = "--reverse adds no arm: these phases are the same in reversed order."
        raise RecipeError([Problem("phases", sentence)])
    return study


def phase(text: str) -> Phase:
    """The phase that TRAINABLE:EPOCHS:LEARNING_RATE[:OPTIMIZER[:SCHEDULE[:PATIENCE]]] describes.

    Raises:
        RecipeError: for a text that reads otherwise.
    """
    try:
        layers, epochs, rate, *rest = text.split(":")
        trainable: str | int = whole(layers) if layers.isdecimal() else layers
        optimizer, schedule, patience = (*rest, *("adam", "constant", "0")[len(rest) :])
        stopping = whole(patience) or None
        return Phase(trainable, whole(epochs), float(rate), optimizer, schedule, stopping)
    except (ValueError, TypeError, argparse.ArgumentTypeError):
        sentence = (
            "A phase reads TRAINABLE:EPOCHS:LEARNING_RATE[:OPTIMIZER[:SCHEDULE[:PATIENCE]]], such "
            f"as all:2:1e-5, got {text!r:.80}."
        )
        raise RecipeError([Problem("phase", sentence)]) from None


def setting(text: str) -> tuple[str, Any]:
    """The name and the value that NAME=VALUE gives, in the type that the setting has.

    Raises:
        RecipeError: for a name that is no setting's, and a value that cannot be its.
    """
    name, equals, value = text.partition("=")
    if not equals or name not in SETTINGS:
        names = ", ".join(sorted(SETTINGS))
        sentence = f"A setting reads NAME=VALUE with NAME one of {names}; got {text!r:.80}."
        raise RecipeError([Problem("set", sentence)])
    try:
        return name, SETTINGS[name].parse(value)
    except ValueError as error:
        sentence = f"This setting is {error}, got {value!r:.40}."
        raise RecipeError([Problem(name, sentence)]) from None


def settings_table() -> str:
    """Every setting of a recipe as a Markdown table: what docs/settings.md shows."""
    rows = ["| setting | title | values | default | what it is |", "|---|---|---|---|---|"]
    written = {"True": "true", "False": "false", "None": "all"}
    for name, about in SETTINGS.items():
        default = str(getattr(Recipe, name))
        default = written.get(default, default)
        rows.append(f"| `{name}` | {about.title} | {about.accepts} | {default} | {about.help} |")
    return "\n".join(rows)
