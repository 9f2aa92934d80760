"""Pictures from outside: foreign bytes to pixels, pixels to what a dataset's models expect."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from itertools import product
from threading import Lock

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tl_engine.catalog.datasets import Dataset
from tl_engine.errors import ImageError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MAXIMUM_BYTES = 25 * 2**20
MAXIMUM_PIXELS = 50_000_000
TILE = 2048
"""Pixels on a side of what is converted at once: a whole picture's copies take gigabytes."""
PREVIEW = 1024
WHAT_IS_RIGHT = "a PNG, JPEG, WebP, GIF, BMP or TIFF picture"
OTHER_KINDS = {
    b"%PDF": "a PDF document",
    b"<svg": "an SVG drawing",
    b"ftypheic": "a HEIC photo",
    b"ftypavif": "an AVIF picture",
    b"PK\x03\x04": "a zip archive",
}
"""What people try next, by bytes near its beginning."""
DECODING = Lock()
"""One picture at a time: bounds memory, and what silences warnings is one for all threads."""


def read_image(data: bytes) -> np.ndarray:
    """Decode a picture to uint8 RGB (height, width, 3), upright and on white.

    EXIF rotation is applied; the first frame of an animation counts; 16-bit grey keeps its upper
    byte; 32-bit grey, which has no white of its own, is stretched to its range; transparency is
    laid over white.

    Raises:
        ImageError: for bytes that are no such picture, are damaged, or are beyond the limits.
    """
    check_bytes(data)
    try:
        with DECODING, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd tags and of sizes checked here
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.width * image.height > MAXIMUM_PIXELS:
                    raise ImageError(_too_large(f"{image.width:,} x {image.height:,} pixels"))
                image.load()
                with contextlib.suppress(Exception):  # broken EXIF data costs no sound picture
                    ImageOps.exif_transpose(image, in_place=True)
                return _pixels(image)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"This file is {_kind(data)}: choose {WHAT_IS_RIGHT}.") from None
    except Image.DecompressionBombError:
        raise ImageError(_too_large("several times as many")) from None
    except Exception as error:  # decoders raise whatever a damaged file makes them stumble on
        raise ImageError(
            f"This picture is damaged and cannot be read: choose {WHAT_IS_RIGHT} that opens in "
            "other programs."
        ) from error


def check_bytes(data: bytes) -> None:
    """Refuse a file that is too large, unopened, with an ImageError."""
    if len(data) > MAXIMUM_BYTES:
        raise ImageError(
            f"A picture may have {MAXIMUM_BYTES // 2**20} MB, got {len(data) / 2**20:.1f} MB."
        )


def fit(image: np.ndarray, described: Dataset, *, invert: bool = False) -> np.ndarray:
    """Cut the middle out of a uint8 image (height, width, 3) and shrink it to a dataset's native
    size, grey where the dataset is; `invert` swaps light and dark."""
    size = (described.width, described.height)
    picture = ImageOps.fit(Image.fromarray(image), size, Image.Resampling.LANCZOS)
    if invert:
        picture = ImageOps.invert(picture)
    if described.channels == 1:
        picture = picture.convert("L").convert("RGB")
    return np.array(picture)


def preview(image: np.ndarray, most: int = PREVIEW) -> np.ndarray:
    """A uint8 image (height, width, 3), at most so many pixels on a side."""
    picture = Image.fromarray(image)
    picture.thumbnail((most, most))
    return np.array(picture)


def to_png(image: np.ndarray) -> bytes:
    """A uint8 image (height, width, 3) as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG")
    return buffer.getvalue()


def _kind(data: bytes) -> str:
    if not data:
        return "empty"
    kinds = (kind for mark, kind in OTHER_KINDS.items() if mark in data[:1024])
    return next(kinds, "no picture that can be read here")


def _too_large(found: str) -> str:
    return (
        f"A picture may have {MAXIMUM_PIXELS // 1_000_000} megapixels, got {found}: "
        "make it smaller first."
    )


def _pixels(image: Image.Image) -> np.ndarray:
    stretch = _range(image) if image.mode in ("I", "F") else None
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for place, tile in _tiles(image):
        pixels[place] = np.asarray(_on_white(_eight_bits(tile, stretch)))
    return pixels


def _range(image: Image.Image) -> tuple[float, float]:
    """Darkest and lightest value of grey that has no black and white of its own."""
    tiles = (_values(tile) for _, tile in _tiles(image))
    lows, highs = zip(*((values.min(), values.max()) for values in tiles), strict=True)
    return min(lows), max(highs)


def _tiles(image: Image.Image) -> Iterator[tuple[tuple[slice, slice], Image.Image]]:
    for top, left in product(range(0, image.height, TILE), range(0, image.width, TILE)):
        bottom, right = min(top + TILE, image.height), min(left + TILE, image.width)
        yield (slice(top, bottom), slice(left, right)), image.crop((left, top, right, bottom))


def _values(image: Image.Image) -> np.ndarray:
    values = np.array(image, np.float64)
    values[~np.isfinite(values)] = 0
    return values


def _eight_bits(image: Image.Image, stretch: tuple[float, float] | None) -> Image.Image:
    """Deeper grey as 8 bits: Pillow itself would clip it."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if stretch:
        values = _values(image)
        low, high = stretch
        values -= low
        values *= 255 / ((high - low) or 1)
        return Image.fromarray(np.rint(values, out=values).astype(np.uint8))
    return image


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    clear = image.convert("RGBA")
    white = Image.new("RGBA", clear.size, "white")
    return Image.alpha_composite(white, clear).convert("RGB")
