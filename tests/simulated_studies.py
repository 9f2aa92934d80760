"""Simulated studies, judged all at once by the whole rule of verdicts.

An analysis after every pair from the fourth on, then the planned one; any claim counts. `p_paths`
computes what `analysis.rule.p_value` gives one by one (`tests/test_rule.py` compares them).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from tl_engine.analysis.interval import ALPHA, FEW_PAIRS, LEAST_PAIRS, STRONG
from tl_engine.analysis.power import more_pairs
from tl_engine.analysis.rule import END, LOOKS, Pairs, variance_of


def p_paths(differences: np.ndarray, planned: int, *, always: bool = False) -> np.ndarray:
    """The rule's p at every look.

    Args:
        differences: (studies, pairs), of which the first `planned` are the planned ones; 0 where
            no number was fixed.
        always: allow for skewness that is not strong, too.

    Returns:
        (studies, pairs - 3): after 4 pairs, after 5 and so on; at and after `planned` pairs the
        planned analysis counts.
    """
    from scipy.special import stdtr

    looks = np.arange(LEAST_PAIRS, differences.shape[1] + 1)
    t = _t(differences, always)[:, LEAST_PAIRS - 1 :]
    plan = Pairs(differences[0], "", "", planned)
    ratio = 1 / (1 + looks * variance_of(plan))
    square = t**2 / (looks - 1)
    log_e = np.log(ratio) / 2 + looks / 2 * (np.log1p(square) - np.log1p(ratio * square))
    p = np.exp(-np.maximum(log_e, 0)) / (LOOKS if plan.has_end else 1.0)
    if plan.has_end and planned <= looks[-1]:
        end = planned - LEAST_PAIRS
        at_end = 2 * stdtr(planned - 1, -abs(t[:, end])) / END
        p[:, end:] = np.minimum(p[:, end:], at_end[:, None])
    return np.minimum(p, 1.0)


def any_claim(p: np.ndarray, contrasts: int = 1) -> np.ndarray:
    """In which studies (studies, …) any p is small enough for Holm's first step."""
    return np.asarray(p.reshape(len(p), -1).min(axis=1) <= ALPHA / contrasts)


def family_claims(random: np.random.Generator, arms: int, pairs: int, studies: int) -> float:
    """The share of studies of equal arms in which any contrast is claimed at any look."""
    scores = random.standard_normal((arms, studies, pairs))
    couples = list(combinations(range(arms), 2))
    claimed = [any_claim(p_paths(scores[i] - scores[j], pairs), len(couples)) for i, j in couples]
    return float(np.any(claimed, axis=0).mean())


def suffices(
    random: np.random.Generator, effect: float, pairs: int, planned: int, studies: int
) -> float:
    """Of studies that are open after so many pairs: how often as many more as are said to be likely
    find the difference, which is the smallest that matters.

    Args:
        effect: that difference, in standard deviations.
        planned: pairs; 0 where no number was fixed.
    """
    found: list[bool] = []
    while len(found) < studies:
        begun = random.normal(effect, 1.0, pairs)
        if any_claim(p_paths(begun[None], planned))[0]:
            continue
        plan = Pairs(begun, "", "", planned, begun if pairs == planned else None)
        more = more_pairs(plan, effect).likely
        whole = np.concatenate([begun, random.normal(effect, 1.0, more)])
        found.append(bool(p_paths(whole[None], planned)[0, -1] <= ALPHA))
    return float(np.mean(found))


def _t(differences: np.ndarray, always: bool) -> np.ndarray:
    """(studies, pairs): `Sample.t` after each pair; 0 for the first three."""
    pairs = np.arange(1, differences.shape[1] + 1)
    mean, square, cube = (np.cumsum(differences**power, axis=1) / pairs for power in (1, 2, 3))
    with np.errstate(all="ignore"):
        variance = square - mean**2
        skewness = (cube - 3 * mean * square + 2 * mean**3) / variance**1.5
        skewness *= np.sqrt(pairs * (pairs - 1)) / (pairs - 2)
        error = np.sqrt(6 * pairs * (pairs - 1) / ((pairs - 2) * (pairs + 1) * (pairs + 3)))
        w = mean / np.sqrt(variance * pairs / (pairs - 1))
        hall = w + skewness * w**2 / 3 + skewness**2 * w**3 / 27 + skewness / (6 * pairs)
        smaller = np.where(w * hall <= 0, 0, np.sign(w) * np.minimum(abs(w), abs(hall)))
        is_allowed = always | (
            abs(skewness) > STRONG * np.minimum(1, FEW_PAIRS / pairs) ** 2 * error
        )
        t = np.where(is_allowed, smaller, w) * np.sqrt(pairs)
    t[:, : LEAST_PAIRS - 1] = 0
    return t
