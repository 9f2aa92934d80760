"""Messages between a Predictor and its process: a JSON header and arrays, as npz without pickles.

A request's header holds `verb`, `run` (its id) and `options`; a response's is empty, or holds
`error`, the sentence why there are no arrays.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray]
HEADER = "header"


def pack(header: Mapping[str, Any], arrays: Arrays | None = None) -> bytes:
    """A message; the header is plain data for JSON."""
    buffer = io.BytesIO()
    content = {HEADER: np.array(json.dumps(header)), **(arrays or {})}
    np.savez(buffer, allow_pickle=False, **content)
    return buffer.getvalue()


def unpack(message: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a message.

    Raises:
        ValueError, KeyError, zipfile.BadZipFile: for bytes that `pack` did not make.
    """
    with np.load(io.BytesIO(message), allow_pickle=False) as content:
        arrays = dict(content)
    return json.loads(str(arrays.pop(HEADER))), arrays
