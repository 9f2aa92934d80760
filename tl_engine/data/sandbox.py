"""Read a picture of unknown origin in a child process: `python -m tl_engine.data.sandbox JSON`.

A small file can ask for minutes of work (a JPEG of a hundred passes, a PNG of a million chunks) or
meet an error in a decoder's native code. Here that costs seconds and one child, never the server.
The child gets the file through its standard input and gives arrays back as npz, never as pickles.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np

from tl_engine.catalog.datasets import Dataset
from tl_engine.data.decoding import (
    MAXIMUM_BYTES,
    WHAT_IS_RIGHT,
    check_bytes,
    fit,
    preview,
    read_image,
)
from tl_engine.errors import ImageError
from tl_engine.machine import PARENT
from tl_engine.storage import atomic

LIMITS = {
    resource.RLIMIT_AS: 2 * 2**30,
    resource.RLIMIT_CPU: 6,
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_CORE: 0,
}
"""Of the child: bytes of addresses, which are more than what is used (the largest picture uses half
of it), seconds of processor, and no file written."""
PATIENCE_SECONDS = 60
"""For the same work while others keep the processor busy."""
REFUSED = 3
ONE_AT_A_TIME = Lock()


class Upload(NamedTuple):
    """A picture from outside, uint8 (height, width, 3) each.

    Attributes:
        seen: for people, upright, at most 1024 pixels on a side.
        pixels: for models, at their dataset's size.
    """

    seen: np.ndarray
    pixels: np.ndarray


def read_upload(data: bytes, described: Dataset, *, invert: bool = False) -> Upload:
    """What `read_image` and `fit` make of a file, within limits of time and memory; errors as those
    of `read_image`."""
    check_bytes(data)
    words = [json.dumps(described.to_dict()), *["invert"] * invert]
    command = [sys.executable, "-m", "tl_engine.data.sandbox", *words]
    with ONE_AT_A_TIME, contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            command,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # where decoders say what they think of a file
            timeout=PATIENCE_SECONDS,
            cwd=PARENT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONUTF8": "1"},
        )
        if done.returncode == REFUSED:
            raise ImageError(done.stdout.decode())
        if done.returncode == 0:
            with np.load(io.BytesIO(done.stdout), allow_pickle=False) as arrays:
                return Upload(arrays["seen"], arrays["pixels"])
    raise ImageError(
        "This picture takes too much time or memory to read: open it in another program and save "
        "it again, smaller."
    )


def read_file(path: Path) -> bytes:
    """What a picture's file holds; a pipe or a device, which might never end, is not opened.

    Raises:
        ImageError: for what is no file, is too large or cannot be read.
    """
    try:
        with open(atomic.open_file(path, os.O_RDONLY), "rb") as file:
            data = file.read(MAXIMUM_BYTES + 1)
    except atomic.NoFileError:
        raise ImageError(f"This is no file: choose {WHAT_IS_RIGHT}.") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "its name is no path"
        raise ImageError(f"This picture cannot be read: {why}.") from None
    check_bytes(data)
    return data


def main(description: str, *words: str) -> int:
    """Read standard input, write npz or a sentence to standard output; the exit code."""
    for what, most in LIMITS.items():
        with contextlib.suppress(ValueError, OSError):  # not every system knows every limit
            resource.setrlimit(what, (most, most))
    try:
        image = read_image(sys.stdin.buffer.read())
    except ImageError as error:
        sys.stdout.write(str(error))
        return REFUSED
    made = io.BytesIO()
    described = Dataset.from_dict(json.loads(description))
    np.savez(made, seen=preview(image), pixels=fit(image, described, invert="invert" in words))
    sys.stdout.buffer.write(made.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
