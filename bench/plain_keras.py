"""A run as the article writes it: plain Keras, one `fit` per phase.

    python -m bench.plain_keras RECIPE_AS_JSON

Prints the seconds of building, and of every epoch of every phase with its validation, as JSON.
The same images, batches, validation, layers and optimizers as in Thaw; the same published weights
where they come with the packages, random ones otherwise, which takes as long.
"""

import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from tl_engine.catalog.backbones import backbone
from tl_engine.data import sources
from tl_engine.data.splits import split
from tl_engine.learning.architectures import build_backbone
from tl_engine.recipe import Recipe
from tl_engine.study import Seeds


def stopwatch(moments: list[float]) -> keras.callbacks.Callback:
    """Notes when each epoch begins and when it ends, its validation included."""

    def note(epoch: int, logs: object) -> None:
        moments.append(time.perf_counter())

    return keras.callbacks.LambdaCallback(on_epoch_begin=note, on_epoch_end=note)


def train(recipe: Recipe) -> dict[str, object]:
    """Train it; seconds of building, and of each phase its compilation and its epochs."""
    images = sources.load(recipe.dataset)
    splits = split(images, recipe.train_images, Seeds.of_pair(1).data)
    x, y = np.array(splits.train.images), splits.train.labels
    validation = np.array(splits.validation.images), splits.validation.labels
    began = time.perf_counter()
    chosen = backbone(recipe.backbone)
    body = build_backbone(recipe.backbone, recipe.image_size, False, recipe.pretrained, 1)
    model = keras.Sequential(
        [
            keras.Input(x.shape[1:], dtype="uint8"),
            keras.layers.Resizing(recipe.image_size, recipe.image_size, dtype="float32"),
            keras.layers.Rescaling(list(chosen.scale), list(chosen.offset)),
            body,
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    built = time.perf_counter() - began
    phases = []
    for phase in recipe.phases:
        began = time.perf_counter()
        body.trainable = phase.trains_backbone
        for layer in body.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
        optimizer = keras.optimizers.Adam(phase.learning_rate)
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        compiled = time.perf_counter() - began
        moments: list[float] = []
        sizes = {"batch_size": recipe.batch_size, "epochs": phase.epochs, "verbose": 0}
        model.fit(x, y, **sizes, validation_data=validation, callbacks=[stopwatch(moments)])
        phases.append({"compile": compiled, "epochs": np.diff(moments)[::2].tolist()})
    return {"build": built, "phases": phases}


if __name__ == "__main__":
    print(json.dumps(train(Recipe.from_dict(json.loads(sys.argv[1])))))
