"""Print the counts that the catalog holds: `python -m tools.describe_backbones [NAME ...]`."""

from __future__ import annotations

import re
import sys

import numpy as np

from tl_engine.catalog.backbones import BACKBONES, Backbone, Block


def counts(backbone: Backbone) -> dict[str, tuple[int, int, int]]:
    """Per block title: weights, BatchNorm weights, BatchNorm statistics of the real network."""
    import keras

    from tl_engine.learning.backbones import build_backbone

    size = max(32, backbone.minimum_size)
    model = build_backbone(backbone.name, size, backbone.top is not None, False, 0)
    bare = model if backbone.top is None else build_backbone(backbone.name, size, False, False, 0)
    total: dict[str, list[int]] = {}
    blocks = [*backbone.blocks, *([backbone.top] if backbone.top else [])]
    top_layers = [layer for layer in model.layers if layer.name not in names_of(bare)]
    for layer in [*bare.layers, *top_layers]:
        if not layer.variables:
            continue
        found = total.setdefault(title_of(layer.name, blocks), [0, 0, 0])
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        found[1 if is_norm else 0] += size_of(layer.trainable_variables)
        found[2] += size_of(layer.non_trainable_variables) if is_norm else 0
    return {title: (a, b, c) for title, (a, b, c) in total.items()}


def names_of(model) -> set[str]:
    """The names of a model's layers."""
    return {layer.name for layer in model.layers}


def size_of(variables) -> int:
    """Elements of all variables."""
    return sum(int(np.prod(variable.shape)) for variable in variables)


def title_of(name: str, blocks: list[Block]) -> str:
    """The title of the one block that holds the layer.

    Raises:
        LookupError: where none or several do.
    """
    titles = [block.title for block in blocks if re.match(block.pattern, name)]
    if len(titles) != 1:
        raise LookupError(f"Layer {name!r} belongs to {titles or 'no block'}.")
    return titles[0]


if __name__ == "__main__":
    for name in sys.argv[1:] or BACKBONES:
        print(name)
        for title, (weights, scales, statistics) in counts(BACKBONES[name]).items():
            print(f'    Block("{title}", …, {weights}, {scales}, {statistics}),')
