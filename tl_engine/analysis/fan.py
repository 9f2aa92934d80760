"""How an estimate settles as pairs come in, with a band that may be looked at after each."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tl_engine.analysis.verdict import confidence_sequence, is_constant


def confidence_fan(differences: np.ndarray) -> pd.DataFrame:
    """The mean difference after each pair from the second on, with its 95 % confidence sequence.

    Args:
        differences: (n,) gain of the first arm per pair, in the metric's column, in the order of
            the pairs.

    Returns:
        Columns pairs, difference, low, high; the band is infinite where nothing can be said yet,
        as after pairs that all differ by the same.
    """
    values = np.asarray(differences, float)
    rows = []
    for pairs in range(2, len(values) + 1):
        seen = values[:pairs]
        unknown = is_constant(seen) and seen[0] != 0
        low, high = (-np.inf, np.inf) if unknown else confidence_sequence(seen)
        rows.append((pairs, float(seen.mean()), low, high))
    return pd.DataFrame(rows, columns=["pairs", "difference", "low", "high"])
