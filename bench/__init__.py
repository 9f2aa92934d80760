"""Measurements behind the figures in README and docs/; each prints what it measured."""
