"""Published theory and a small experiment of our own: orders must differ as they should.

Freezing first keeps pretrained features where the new data do not look (Kumar et al. 2022,
"Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution").
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest

from tl_engine.analysis.rule import Pairs
from tl_engine.analysis.verdict import Outcome, decide
from tl_engine.data import sources

SEEDS = 30
INPUTS, SEEN, FEATURES, IMAGES = 30, 15, 4, 60
"""Dimensions: of the input, of the subspace of the training data, of the features; examples."""


class Linear:
    """Two-layer linear networks w = v B, one per seed, in the setting of section 3: training data
    lie in a subspace, and pretrained features are the true ones, a little off."""

    def __init__(self, seeds):
        random = np.random.default_rng(22)
        true = np.linalg.qr(random.normal(size=(seeds, INPUTS, FEATURES)))[0].transpose(0, 2, 1)
        head = random.normal(size=(seeds, 1, FEATURES))
        self.truth = head / np.linalg.norm(head, axis=2, keepdims=True) @ true
        subspace = np.linalg.qr(random.normal(size=(seeds, INPUTS, SEEN)))[0]
        inputs = random.normal(size=(seeds, IMAGES, SEEN)) @ subspace.transpose(0, 2, 1)
        self.moment = inputs.transpose(0, 2, 1) @ inputs / IMAGES
        self.seen = subspace @ subspace.transpose(0, 2, 1)
        self.pretrained = true + 0.01 * random.normal(size=true.shape)
        self.random_head = random.normal(size=(seeds, 1, FEATURES)) / np.sqrt(FEATURES)

    def probe(self, features):
        """The head that fits the training data best on fixed features."""
        lifted = self.moment @ features.transpose(0, 2, 1)
        return self.truth @ lifted @ np.linalg.inv(features @ lifted)

    def fine_tune(self, head, steps=4000, rate=0.1):
        """Head and features after gradient descent on both, from the pretrained features."""
        features = self.pretrained
        for _ in range(steps):
            error = (head @ features - self.truth) @ self.moment
            head, features = (
                head - rate * error @ features.transpose(0, 2, 1),
                features - rate * head.transpose(0, 2, 1) @ error,
            )
        return head, features

    def errors(self, head, features):
        """Mean squared error per seed: on data like the training data, and on data from all over
        the input space."""
        off = head @ features - self.truth
        return ((off @ self.seen) ** 2).sum((1, 2)), (off**2).sum((1, 2))

    def drift(self, features):
        moved = np.linalg.norm(features - self.pretrained, axis=(1, 2))
        return moved / np.linalg.norm(self.pretrained, axis=(1, 2))


def test_in_the_linear_theory_freezing_first_keeps_what_fine_tuning_first_distorts():
    nets = Linear(SEEDS)
    probed = nets.probe(nets.pretrained)
    tuned = nets.fine_tune(nets.random_head)
    probed_then_tuned = nets.fine_tune(probed)
    tuned_then_probed = nets.probe(tuned[1]), tuned[1]
    probe_seen, _ = nets.errors(probed, nets.pretrained)
    seen, everywhere = nets.errors(*tuned)
    kept = nets.errors(*probed_then_tuned)[1]
    assert (kept < everywhere).sum() >= 29
    assert (seen < probe_seen).sum() >= 29
    assert nets.drift(tuned[1]).mean() >= 10 * nets.drift(probed_then_tuned[1]).mean()
    # A head fitted last does not undo what fine-tuning first did to the features.
    assert nets.errors(*tuned_then_probed)[1] == pytest.approx(everywhere, rel=0.01)


PAIRS, TARGET_IMAGES, TARGET_CLASSES = 10, 250, 5
BATCH, RATE, HEAD_RATE, EPOCHS = 32, 1e-3, 1e-2, 20
WIDTHS = (196, 128, 64)


class Net(NamedTuple):
    """A small network per pair: weights (pairs, inputs, outputs) of each layer, the last is the
    head; a constant input stands for the biases."""

    layers: list[np.ndarray]

    def activations(self, images):
        """The input of every layer, and the logits."""
        inputs = [images]
        for number, layer in enumerate(self.layers):
            known = _with_one(inputs[-1])
            out = known @ layer
            inputs.append(np.maximum(out, 0) if number < len(self.layers) - 1 else out)
        return inputs

    def accuracy(self, images, labels):
        """(pairs,) shares predicted right of images (n, pixels)."""
        return (self.activations(images[None])[-1].argmax(-1) == labels).mean(-1)

    def with_head(self, random, pairs):
        """The same features in every pair, each with a new head."""
        body = [np.repeat(layer, pairs, 0) for layer in self.layers[:-1]]
        return Net([*body, _layer(random, pairs, WIDTHS[-1], TARGET_CLASSES)])

    def train(self, images, labels, epochs, rate, seed, only_head=False):
        """Adam on the cross-entropy; images (pairs, n, pixels), labels (pairs, n)."""
        random, layers, step = np.random.default_rng(seed), list(self.layers), 0
        moments = [(np.zeros_like(layer), np.zeros_like(layer)) for layer in layers]
        free = range(len(layers) - 1 if only_head else 0, len(layers))
        for _ in range(epochs):
            order = np.argsort(random.random(labels.shape), axis=1)
            for start in range(0, labels.shape[1], BATCH):
                batch, step = order[:, start : start + BATCH], step + 1
                chosen = np.take_along_axis(images, batch[..., None], 1)
                gradients = _gradients(layers, chosen, np.take_along_axis(labels, batch, 1), free)
                for number, gradient in gradients.items():
                    first, second = moments[number]
                    first += 0.1 * (gradient - first)
                    second += 0.001 * (gradient**2 - second)
                    scale = np.sqrt(second / (1 - 0.999**step)) + 1e-7
                    layers[number] = layers[number] - rate * first / (1 - 0.9**step) / scale
        return Net(layers)


def _gradients(layers, images, labels, free):
    inputs = Net(layers).activations(images)
    shares = np.exp(inputs[-1] - inputs[-1].max(-1, keepdims=True))
    error = shares / shares.sum(-1, keepdims=True) - np.eye(shares.shape[-1])[labels]
    error = (error / labels.shape[1]).astype(np.float32)
    gradients = {}
    for number in reversed(free):
        gradients[number] = _with_one(inputs[number]).transpose(0, 2, 1) @ error
        error = (error @ layers[number][:, :-1].transpose(0, 2, 1)) * (inputs[number] > 0)
    return gradients


def _with_one(inputs):
    return np.concatenate([inputs, np.ones((*inputs.shape[:-1], 1), np.float32)], -1)


def _layer(random, pairs, inputs, outputs):
    weights = random.normal(size=(pairs, inputs + 1, outputs)) * np.sqrt(2 / inputs)
    weights[:, -1] = 0
    return weights.astype(np.float32)


def _pixels(split):
    """Grey images at half their side, 0 to 1, (n, 14, 14)."""
    grey = split.images[..., 0].astype(np.float32) / 255
    return grey.reshape(-1, 14, 2, 14, 2).mean((2, 4))


def _elsewhere(images, random):
    """The same images as another camera might see them: moved, paler, noisy."""
    places = random.integers(-2, 3, (len(images), 2))
    moved = [np.roll(one, place, (0, 1)) for one, place in zip(images, places, strict=True)]
    contrast = random.uniform(0.3, 1, (len(images), 1, 1)).astype(np.float32)
    return np.array(moved) * contrast + random.normal(0, 0.2, images.shape).astype(np.float32)


def _flat(images):
    return images.reshape(len(images), -1)


@pytest.fixture(scope="module")
def pretrained():
    """A network that knows ten kinds of clothes from both cameras."""
    random = np.random.default_rng(1)
    source = sources.load("fashion-mini").train
    known, labels = _pixels(source)[:4000], source.labels[:4000]
    images = _flat(np.concatenate([known, _elsewhere(known, random)]))
    widths = [*WIDTHS, 10]
    net = Net([_layer(random, 1, *pair) for pair in pairwise(widths)])
    return net.train(images[None], np.tile(labels, 2)[None], 3, RATE, seed=2)


@pytest.mark.long
def test_with_few_images_the_head_first_is_better_where_the_new_images_do_not_look(pretrained):
    shipped = sources.load("fashion-mini")
    pool, labels = _flat(_pixels(shipped.train)[4000:]), shipped.train.labels[4000:]
    chosen = [
        np.random.default_rng(pair).permutation(1000)[:TARGET_IMAGES] for pair in range(PAIRS)
    ]
    images, targets = pool[chosen], labels[chosen] % TARGET_CLASSES
    start = pretrained.with_head(np.random.default_rng(5), PAIRS)
    probed = start.train(images, targets, EPOCHS // 2, HEAD_RATE, 7, only_head=True)
    head_first = probed.train(images, targets, EPOCHS // 2, RATE, 8)
    fine_tuned = start.train(images, targets, EPOCHS, RATE, 7)
    test, truth = _pixels(shipped.test), shipped.test.labels % TARGET_CLASSES

    def verdict(shown):
        values = [net.accuracy(_flat(shown), truth) for net in (head_first, fine_tuned)]
        gains = values[0] - values[1]
        return decide(Pairs(gains, "head first", "all", len(gains), gains), 0.005)

    elsewhere = verdict(_elsewhere(test, np.random.default_rng(3)))
    assert elsewhere.outcome in (Outcome.BETTER, Outcome.SMALL) and elsewhere.difference > 0
    assert verdict(test).difference >= 0
