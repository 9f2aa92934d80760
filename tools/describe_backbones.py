"""Print the counts that the catalog holds: `python -m tools.describe_backbones [NAME ...]`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from tl_engine.catalog.backbones import BACKBONES, Block

if TYPE_CHECKING:
    import keras

Counts = tuple[int, int, int]


def describe(name: str) -> dict[str, Counts]:
    """Build the network, with its top where it has one, and count."""
    from tl_engine.learning.architectures import build_backbone

    backbone = BACKBONES[name]
    top = (backbone.top,) if backbone.top else ()
    model = build_backbone(name, backbone.minimum_size, bool(top), pretrained=False, seed=0)
    return counts(model, (*backbone.blocks, *top))


def counts(model: keras.Model, blocks: Iterable[Block]) -> dict[str, Counts]:
    """Per block title, bottom-up: weights, BatchNorm weights, BatchNorm statistics.

    Raises:
        LookupError: where a layer with variables belongs to no block or to several.
    """
    from keras.layers import BatchNormalization

    total: dict[str, Counts] = {}
    for layer in model.layers:
        if not layer.variables:
            continue
        title = title_of(layer.name, blocks)
        weights, scales, statistics = total.get(title, (0, 0, 0))
        if isinstance(layer, BatchNormalization):
            scales += elements(layer.trainable_variables)
            statistics += elements(layer.non_trainable_variables)
        else:
            weights += elements(layer.trainable_variables)
        total[title] = (weights, scales, statistics)
    return total


def title_of(name: str, blocks: Iterable[Block]) -> str:
    """The title of the one block that holds the layer.

    Raises:
        LookupError: where none or several do.
    """
    titles = [block.title for block in blocks if re.match(block.pattern, name)]
    if len(titles) != 1:
        raise LookupError(f"Layer {name!r} belongs to {titles or 'no block'}, not to one block.")
    return titles[0]


def elements(variables: Iterable[keras.Variable]) -> int:
    """Numbers in all variables together."""
    return sum(int(np.prod(variable.shape)) for variable in variables)


if __name__ == "__main__":
    for name in sys.argv[1:] or BACKBONES:
        print(name)
        for title, (weights, scales, statistics) in describe(name).items():
            print(f'    Block("{title}", …, {weights:_}, {scales:_}, {statistics:_}),')
