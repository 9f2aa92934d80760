"""Pictures from outside: foreign bytes to pixels, pixels to what a dataset's models expect."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tl_engine.catalog.datasets import Dataset
from tl_engine.errors import ImageError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MAXIMUM_BYTES = 25 * 2**20
MAXIMUM_PIXELS = 50_000_000
WHAT_IS_RIGHT = "a PNG, JPEG, WebP, GIF, BMP or TIFF picture"
SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")


def read_image(data: bytes) -> np.ndarray:
    """Decode a picture to uint8 RGB (height, width, 3), upright and on white.

    EXIF rotation is applied; the first frame of an animation counts; 16-bit and floating grey is
    stretched to its own range; transparency is laid over white.

    Raises:
        ImageError: for bytes that are no such picture, are damaged, or are beyond the limits.
    """
    if len(data) > MAXIMUM_BYTES:
        raise ImageError(
            f"A picture may have {MAXIMUM_BYTES // 2**20} MB, got {len(data) / 2**20:.0f} MB."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd tags and of sizes checked here
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check_size(image)
                return np.array(_flat(ImageOps.exif_transpose(_deep_grey(image))))
    except UnidentifiedImageError:
        raise ImageError(f"This file is not {WHAT_IS_RIGHT}.") from None
    except Image.DecompressionBombError:
        raise ImageError(_too_large("too many")) from None
    except ImageError:
        raise
    except Exception as error:  # decoders raise whatever a damaged file makes them stumble on
        raise ImageError(
            f"This picture is damaged and cannot be read: choose {WHAT_IS_RIGHT} that opens in "
            "other programs."
        ) from error


def fit(image: np.ndarray, described: Dataset, *, invert: bool = False) -> np.ndarray:
    """Cut the middle out and shrink it to a dataset's native size; grey where the dataset is.

    Args:
        image: uint8 (height, width, 3).
        invert: swap light and dark first.

    Returns:
        uint8 (dataset height, dataset width, 3).
    """
    picture = Image.fromarray(image)
    if invert:
        picture = ImageOps.invert(picture)
    if described.channels == 1:
        picture = picture.convert("L").convert("RGB")
    size = (described.width, described.height)
    return np.array(ImageOps.fit(picture, size, Image.Resampling.LANCZOS))


def to_png(image: np.ndarray) -> bytes:
    """A uint8 image (height, width, 3) as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG")
    return buffer.getvalue()


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAXIMUM_PIXELS:
        raise ImageError(_too_large(f"{width * height / 1e6:,.0f}"))


def _too_large(megapixels: str) -> str:
    return (
        f"A picture may have {MAXIMUM_PIXELS // 1_000_000} megapixels, got {megapixels}: "
        "make it smaller first."
    )


def _deep_grey(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits, stretched to 0..255: Pillow itself would clip it."""
    if image.mode not in SIXTEEN_BIT:
        return image
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
    low, high = values.min(), values.max()
    grey = Image.fromarray(((values - low) / max(high - low, 1e-9) * 255).astype(np.uint8))
    grey.info["exif"] = image.info.get("exif", b"")
    return grey


def _flat(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        return Image.alpha_composite(white, clear).convert("RGB")
    return image.convert("RGB")
