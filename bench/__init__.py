"""Measurements behind the figures in README; each prints what it measured."""
