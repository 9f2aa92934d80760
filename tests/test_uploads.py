"""Malformed files by the thousand, and odd ones that are sound: what strangers may upload."""

import io
import json
import random
import re
import struct
import time
import tracemalloc
import zlib
from itertools import product

import numpy as np
import psutil
import pytest
from PIL import Image, ImageCms

from tests.test_pages import assert_whole, no_real_processes, visit, words
from tl_engine.catalog.datasets import dataset
from tl_engine.data.decoding import MAXIMUM_PIXELS, PREVIEW, read_image
from tl_engine.data.sandbox import read_upload
from tl_engine.errors import ImageError
from tl_engine.execution.predictor import Answer, Predictor
from tl_engine.runs import RunStore

__all__ = ["no_real_processes"]
UPLOADS = 25_000
SLOWEST_SECONDS = 5.0
MEMORY_BYTES = 2**30
"""By which the process may grow: somewhat more than the largest allowed picture takes (WebP)."""
DATA = dataset("fashion-mini")


def halves(mode, size):
    """Dark on the left, bright on the right; one pixel is bright."""
    width, height = size
    grey = np.full((height, width), 230, np.uint8)
    grey[:, : width // 2] = 20
    if mode == "I;16":
        return Image.fromarray(grey.astype(np.uint16) << 8)
    if mode in ("I", "F"):
        return Image.fromarray(grey.astype(np.int32 if mode == "I" else np.float32))
    if mode == "LAB":
        rgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(
            Image.fromarray(grey).convert("RGB"), rgb, lab, outputMode="LAB"
        )
    return Image.fromarray(grey).convert(mode)


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


# Malformed.


def sound_files():
    """Small files of every kind that is allowed, in several of its dialects."""
    size = (24, 18)
    yield from (saved(halves(mode, size), "PNG") for mode in ("1", "P", "LA", "RGB", "I;16"))
    yield from (saved(halves(mode, size), "JPEG") for mode in ("L", "RGB", "CMYK"))
    yield saved(halves("RGB", size), "JPEG", progressive=True, exif=saved_exif(6))
    yield from (saved(halves("RGBA", size), "WEBP", lossless=lossless) for lossless in (0, 1))
    yield from (saved(halves(mode, size), "BMP") for mode in ("1", "P", "RGB"))
    frames = [halves("P", size), Image.new("P", size)]
    for kind in ("GIF", "WEBP"):
        yield saved(frames[0], kind, save_all=True, append_images=frames[1:])
    for mode, compression in (("L", None), ("RGB", "tiff_lzw"), ("1", "group4"), ("F", None)):
        yield saved(halves(mode, size), "TIFF", compression=compression)
    yield saved(halves("RGB", size), "TIFF", compression="jpeg")


def saved_exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "描述 \x00\x01 <b>"
    return exif


def other_files():
    """What people, and tools, take for pictures."""
    archive = io.BytesIO()
    np.savez(archive, images=np.zeros((4, 4)), labels=np.arange(4))
    yield archive.getvalue()
    yield json.dumps({"images": [[0] * 20] * 20, "title": "=1+1"}).encode()
    yield b"name,label\n" + b"=cmd|' /C calc'!A0,1\n" * 30
    yield b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    yield b"\x89HDF\r\n\x1a\n" + bytes(200)


SOUND, OTHER = list(sound_files()), list(other_files())
EXTREMES = [0, 1, 2, 255, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF]


def flipped(chance, file):
    file = bytearray(file)
    for _ in range(chance.randint(1, 20)):
        file[chance.randrange(len(file))] ^= 1 << chance.randrange(8)
    return file


def truncated(chance, file):
    return file[: chance.randrange(len(file))]


def spliced(chance, file):
    other = chance.choice(SOUND + OTHER)
    return file[: chance.randrange(len(file))] + other[chance.randrange(len(other)) :]


def lying(chance, file):
    """Lengths, sizes, counts and offsets that are not true, mostly near the beginning."""
    file = bytearray(file)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(min(len(file), chance.choice((40, 120, 10_000))))
        form = chance.choice(("<I", ">I", "<H", ">H"))
        lie = struct.pack(form, chance.choice(EXTREMES) & (0xFFFF if form[1] == "H" else -1))
        file[place : place + len(lie)] = lie
    return file


def repeated(chance, file):
    begin = chance.randrange(len(file))
    part = file[begin : begin + chance.randint(1, 40)]
    return file[:begin] + part * chance.randint(2, 200) + file[begin:]


def foreign(chance, _):
    file = chance.choice(OTHER)
    return chance.choice((lambda _, same: same, flipped, truncated, spliced))(chance, file)


def with_true_checksums(file):
    """A PNG whose mutation its checksums do not give away."""
    file, place = bytearray(file), 8
    while place + 12 <= len(file):
        (length,) = struct.unpack_from(">I", file, place)
        end = place + 8 + length
        if end + 4 > len(file):
            break
        struct.pack_into(">I", file, end, zlib.crc32(file[place + 4 : end]))
        place = end + 4
    return file


MUTATIONS = (flipped, truncated, spliced, lying, repeated, foreign)


def malformed(mutation, count):
    chance = random.Random(mutation.__name__)
    for _ in range(count):
        file = bytes(mutation(chance, chance.choice(SOUND)))
        if file.startswith(b"\x89PNG") and chance.random() < 0.7:
            file = with_true_checksums(file)
        yield bytes(file)


def is_read_or_refused(file):
    try:
        pixels = read_image(file)
    except ImageError as error:
        assert re.fullmatch(r"(This|A) [^\n]+\.", str(error))
        return False
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert 1 <= pixels.shape[0] * pixels.shape[1] <= MAXIMUM_PIXELS
    return True


@pytest.mark.long
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.__name__)
def test_a_malformed_file_is_read_or_refused_soon_and_in_little_memory(mutation):
    assert all(is_read_or_refused(file) for file in SOUND)
    slowest, read, process = 0.0, 0, psutil.Process()
    before = highest = process.memory_info().rss
    count = -(-UPLOADS // len(MUTATIONS))
    for number, file in enumerate(malformed(mutation, count)):
        began = time.perf_counter()
        read += is_read_or_refused(file)
        slowest = max(slowest, time.perf_counter() - began)
        if number % 100 == 0:
            highest = max(highest, process.memory_info().rss)
    assert slowest < SLOWEST_SECONDS
    assert highest - before < MEMORY_BYTES
    assert read < count  # else nothing was malformed


def many_passes(side=7000, passes=300):
    """A small JPEG that goes over a large picture again and again."""
    file = saved(Image.new("L", (side, side)), "JPEG", progressive=True)
    last = file.rindex(b"\xff\xda")
    return file[:-2] + file[last:-2] * passes + file[-2:]


@pytest.mark.long
def test_a_small_file_that_asks_for_minutes_is_given_up():
    file = many_passes()
    assert len(file) < 300_000
    with pytest.raises(ImageError, match="too much time or memory"):
        read_upload(file, DATA)


def test_what_a_child_reads_is_what_the_engine_reads():
    file = saved(halves("RGB", (60, 40)), "PNG")
    upload = read_upload(file, DATA, invert=True)
    assert np.array_equal(upload.seen, read_image(file))
    assert upload.pixels.shape == (28, 28, 3)
    assert upload.pixels[14, 2, 0] > upload.pixels[14, -2, 0]
    assert max(read_upload(saved(halves("L", (3000, 9)), "PNG"), DATA).seen.shape) == PREVIEW


def test_a_child_refuses_with_the_engine_s_sentence():
    with pytest.raises(ImageError, match="a PDF document: choose a PNG"):
        read_upload(b"%PDF-1.7", DATA)


def test_what_a_decoder_prints_is_not_part_of_the_sentence():
    file = saved(halves("RGB", (24, 18)), "TIFF", compression="tiff_lzw")
    with pytest.raises(ImageError) as refused:
        read_upload(file[:60] + bytes(40) + file[100:], DATA)
    assert re.fullmatch(r"This picture is damaged [^\n]+\.", str(refused.value))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "F"])
def test_the_largest_picture_is_read_tile_by_tile(mode):
    """Five copies of it, as whole pictures, took over a gigabyte."""
    kind = "TIFF" if mode == "F" else "PNG"
    options = {"compression": "tiff_adobe_deflate"} if kind == "TIFF" else {}
    file = saved(Image.new(mode, (5000, 5000)), kind, **options)
    tracemalloc.start()  # NumPy's share; Pillow's is one picture and a tile
    try:
        assert read_image(file).shape == (5000, 5000, 3)
        assert tracemalloc.get_traced_memory()[1] < 75_000_000 + 120_000_000
    finally:
        tracemalloc.stop()


MALFORMED = {
    "half.png": saved(Image.effect_noise((64, 64), 50), "PNG")[:900],
    "фото 🧊.JPG": b"\xff\xd8\xff\xe0" + bytes(100),
    "<img src=x onerror=alert(1)>.gif": b"GIF89a" + bytes(30),
    "data.npz": OTHER[0],
    "=1+1.csv": OTHER[2],
    "wall.png": saved(Image.new("1", (8_000, 7_000)), "PNG"),
}


def test_a_malformed_upload_is_one_sentence_on_the_page(finished, monkeypatch):
    said = Answer(np.full((1, 10), 0.1, np.float32), np.zeros((1, 16, 16, 3), np.uint8))
    monkeypatch.setattr(Predictor, "classify", lambda *_: said)
    app = visit("pages/3_Classify.py", RunStore(finished.path.parent), monkeypatch)
    app.segmented_control(key="source").set_value("file").run()
    for name, content in MALFORMED.items():
        app.file_uploader(key="upload").upload(name, content, "image/png").run()
        assert_whole(app)
        assert len(app.error) == 1, name
        assert re.search("choose a PNG|make it smaller", words(app)), name


# Odd, but sound.

SIZES = [(1, 1), (1, 2), (2, 1), (7, 5), (64, 48), (257, 3), (3000, 1), (1, 3000)]
MODES = {
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "JPEG": ["L", "RGB", "CMYK"],
    "WEBP": ["L", "RGB", "RGBA"],
    "GIF": ["1", "L", "P", "RGB", "RGBA"],
    "BMP": ["1", "L", "P", "RGB", "RGBA"],
    "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"],
}
DIALECTS = {
    "PNG": [{}, {"compress_level": 0, "icc_profile": b"odd", "dpi": (3, 4)}],
    "JPEG": [
        {"quality": 95},
        {"quality": 95, "progressive": True, "comment": b"\xff\x00\xfe"},
        {"quality": 90, "subsampling": "4:4:4", "restart_marker_blocks": 1, "exif": saved_exif(1)},
    ],
    "WEBP": [{"lossless": True}, {"quality": 90, "icc_profile": b"odd", "exif": saved_exif(1)}],
    "GIF": [{}, {"interlace": 1, "comment": "<script>"}],
    "BMP": [{}],
    "TIFF": [{}, {"compression": "tiff_lzw"}, {"compression": "packbits"}],
}
GRID = [
    (kind, mode, size, options)
    for kind, modes in MODES.items()
    for mode, size, options in product(modes, SIZES, DIALECTS[kind])
]


def is_plausible(pixels, size):
    """As wide and high as it should be, dark on the left, bright on the right."""
    if pixels.shape != (size[1], size[0], 3) or pixels.dtype != np.uint8:
        return False
    middle = size[0] // 2
    if not middle:
        return pixels.mean() > 100 or pixels.max() == 0  # one value, stretched, may be black
    return pixels[:, :middle].mean() + 80 < pixels[:, middle:].mean()


def test_the_grid_is_large_enough():
    assert len(GRID) >= 300
    assert not is_plausible(np.zeros((5, 7, 3), np.uint8), (7, 5))


@pytest.mark.parametrize("kind", MODES)
def test_odd_but_sound_pictures_are_read(kind):
    wrong = [
        (mode, size, options)
        for one, mode, size, options in GRID
        if one == kind
        and not is_plausible(read_image(saved(halves(mode, size), kind, **options)), size)
    ]
    assert not wrong


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_orientation_has_its_size(mode, orientation, kind):
    file = saved(halves(mode, (30, 20)), kind, exif=saved_exif(orientation))
    assert read_image(file).shape[:2] == ((20, 30) if orientation < 5 else (30, 20))


def test_a_jpeg_in_printing_inks_made_of_brightness_and_colour_is_read():
    file = saved(halves("CMYK", (30, 20)), "JPEG")
    adobe = file.index(b"Adobe")
    assert read_image(file[: adobe + 11] + b"\x02" + file[adobe + 12 :]).shape == (20, 30, 3)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_png_of_few_bits_is_read(bits):
    image = halves("L", (30, 20)).quantize(2 if bits == 1 else 4)
    assert is_plausible(read_image(saved(image, "PNG", bits=bits)), (30, 20))


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_of_either_byte_order_is_read(order):
    grey = np.array(halves("L", (30, 20))).astype(f"{order}u2") << 8
    mode = "I;16" if order == "<" else "I;16B"
    image = Image.frombytes(mode, (30, 20), grey.astype(f"{order}u2").tobytes())
    assert is_plausible(read_image(saved(image, "TIFF")), (30, 20))


def test_a_real_colour_profile_does_no_harm():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        file = saved(halves("RGB", (30, 20)), kind, icc_profile=profile)
        assert is_plausible(read_image(file), (30, 20))
