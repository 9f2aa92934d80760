"""The settings of a recipe: what each is called, which values it takes, and how people write them.

Each field of `Recipe` carries one of these descriptions. Its check, the form on Launch, the command
line's `--set`, the names of arms and the table in docs/settings.md all follow from it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tl_engine.catalog.glossary import explain

OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "sgd": "SGD"}
"""With Keras' defaults; "sgd" has momentum 0.9."""
SCHEDULES = {"constant": "Constant", "cosine": "Falls along a cosine"}
HEAD_INPUTS = {
    "pooled-avg": "Pooled features (mean)",
    "pooled-max": "Pooled features (maximum)",
    "logits": "ImageNet logits",
    "softmax": "ImageNet softmax",
}
BATCHNORM_POLICIES = {"as pretrained": "As pretrained (fixed)", "adapt": "Adapt while unfrozen"}
PRECISIONS = {"float32": "Single (float32)", "mixed float16": "Half, mixed (float16)"}
ARITHMETIC = "Arithmetic"
"""The group of settings that change rounding and speed, and nothing else."""

SWITCH = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
WHOLE = re.compile(r"-?[0-9]{1,18}")
LONGEST_NAME = 100


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What people need to know of one setting.

    Attributes:
        title: its name on pages.
        term: its entry in the glossary; empty where the title says enough.
        row: place in the form, from 1; two settings of one row stand side by side.
        group: title of the folded part of the form that it stands in; empty for none.
        is_varied: several of its values can be compared in one study.
    """

    title: str
    term: str = ""
    row: int = 6
    group: str = ""
    is_varied: bool = False

    def field(self, default: Any) -> Any:
        """A dataclass field with its default value and this description."""
        return dataclasses.field(default=default, metadata={"setting": self})

    @property
    def help(self) -> str:
        """One or two sentences for who does not know it."""
        return explain(self.term) if self.term else ""

    def problem(self, value: Any) -> str:
        """Why it cannot have this value, in a sentence; empty where it can."""
        raise NotImplementedError

    def parse(self, text: str) -> Any:
        """The value that somebody wrote on the command line; a ValueError says what would be
        right."""
        return text

    def in_name(self, name: str, value: Any) -> str:
        """The value as part of an arm's name, such as "no augmentation", given the setting's
        name in the recipe."""
        return str(value)

    @property
    def accepts(self) -> str:
        """The values it takes, in words."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Choice(Setting):
    """One of a few values.

    Attributes:
        values: titles by value.
        side_by_side: the form shows all values at once.
        prefix: stands before the value in an arm's name.
    """

    values: Mapping[str, str]
    side_by_side: bool = False
    prefix: str = ""

    def problem(self, value: Any) -> str:
        if isinstance(value, str) and value in self.values:
            return ""
        return f"{self.title} is one of {self.accepts}, got {value!r}."

    def in_name(self, name: str, value: Any) -> str:
        return f"{self.prefix}{value}"

    @property
    def accepts(self) -> str:
        return ", ".join(self.values)


@dataclass(frozen=True, kw_only=True)
class Entry(Setting):
    """The name of an entry of a catalog. Any name has the right form: whether the entry exists is
    asked when a study is launched, so that runs outlive their entries."""

    def problem(self, value: Any) -> str:
        if isinstance(value, str) and 1 <= len(value) <= LONGEST_NAME:
            return ""
        return f"{self.title} is a name of 1 to {LONGEST_NAME} characters, got {value!r:.60}."

    @property
    def accepts(self) -> str:
        return "a name from the catalog"


@dataclass(frozen=True, kw_only=True)
class Switch(Setting):
    """On or off."""

    def problem(self, value: Any) -> str:
        return "" if isinstance(value, bool) else f"{self.title} is on or off, got {value!r}."

    def parse(self, text: str) -> bool:
        if text.lower() not in SWITCH:
            raise ValueError("true or false")
        return SWITCH[text.lower()]

    def in_name(self, name: str, value: Any) -> str:
        words = name.replace("_", " ")
        return words if value else f"no {words}"

    @property
    def accepts(self) -> str:
        return "true, false"


@dataclass(frozen=True, kw_only=True)
class Whole(Setting):
    """A whole number.

    Attributes:
        sentence: what is right, with the largest value as {}; the smallest is 1.
        most: the largest value.
        step: of the form's field.
        example: a usual value.
        may_be_all: None is allowed too, and means all there are.
    """

    sentence: str
    most: int
    step: int
    example: int
    may_be_all: bool = False

    def problem(self, value: Any) -> str:
        if value is None and self.may_be_all:
            return ""
        if is_whole(value) and 1 <= value <= self.most:
            return ""
        return f"{self.sentence.format(self.most)}, got {value!r}."

    def parse(self, text: str) -> int | None:
        if self.may_be_all and text.lower() in ("all", "none"):
            return None
        if not WHOLE.fullmatch(text):
            right = f"a whole number such as {self.example}"
            raise ValueError(f'{right}, or "all"' if self.may_be_all else right)
        return int(text)

    def in_name(self, name: str, value: Any) -> str:
        return f"{name.replace('_', ' ')} {value or 'all'}"

    @property
    def accepts(self) -> str:
        return f"1 to {self.most:,}" + (", all" if self.may_be_all else "")


def is_whole(value: Any) -> bool:
    """Whether it is a whole number; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)
