"""Pictures from outside: every kind Pillow writes here, and what is no picture at all."""

import io
import struct
import threading
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tl_engine.catalog.datasets import dataset
from tl_engine.data import sources
from tl_engine.data.decoding import FORMATS, MAXIMUM_BYTES, fit, read_image, to_png
from tl_engine.errors import ImageError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 0x0112
GREY, COLOUR = dataset("fashion-mini"), dataset("cifar10")


def saved(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def corners(side=32):
    """Red and green above, blue and white below."""
    image = Image.new("RGB", (side * 2, side * 3), WHITE)
    image.paste(RED, (0, 0, side, side))
    image.paste(GREEN, (side, 0, 2 * side, side))
    image.paste(BLUE, (0, 2 * side, side, 3 * side))
    return image


def corner_colours(pixels):
    """Of the four corners, clockwise from the upper left, 8 pixels in."""
    found = (pixels[8, 8], pixels[8, -9], pixels[-9, -9], pixels[-9, 8])
    return [tuple(int(round(value / 255) * 255) for value in colour) for colour in found]


def noise(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)


def png(width, height, rows, interlaced=False):
    """A PNG file of 8-bit grey, from rows that each begin with the number of their filter."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlaced)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


KINDS = {
    "png": ("PNG", {}),
    "png with a palette": ("PNG", {}),
    "jpeg": ("JPEG", {"quality": 95}),
    "progressive jpeg": ("JPEG", {"quality": 95, "progressive": True}),
    "webp": ("WEBP", {"lossless": True}),
    "gif": ("GIF", {}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {}),
    "compressed tiff": ("TIFF", {"compression": "tiff_lzw"}),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_shows_its_colours(name):
    kind, options = KINDS[name]
    image = corners().quantize(16) if "palette" in name or kind == "GIF" else corners()
    pixels = read_image(saved(image, kind, **options))
    assert pixels.shape == (96, 64, 3)
    assert pixels.dtype == np.uint8
    assert corner_colours(pixels) == [RED, GREEN, WHITE, BLUE]


UPRIGHT_BEFORE = {  # EXIF: what undoes the turn that each orientation asks for
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", UPRIGHT_BEFORE)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_taken_with_a_turned_camera_is_upright(kind, orientation):
    turn = UPRIGHT_BEFORE[orientation]
    image = corners() if turn is None else corners().transpose(turn)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    pixels = read_image(saved(image, kind, exif=exif))
    assert pixels.shape == (96, 64, 3)
    assert corner_colours(pixels) == [RED, GREEN, WHITE, BLUE]


def test_sixteen_bit_grey_is_turned_upright_too():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    deep = Image.fromarray(np.full((2, 3), 0x8000, np.uint16))
    for kind in ("PNG", "TIFF"):
        assert read_image(saved(deep, kind, exif=exif)).shape == (3, 2, 3)


def test_broken_exif_data_does_not_cost_a_sound_picture():
    pixels = read_image(saved(corners(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff rest"))
    assert corner_colours(pixels) == [RED, GREEN, WHITE, BLUE]


def test_a_photo_that_carries_a_second_one_shows_the_first():
    photo = saved(corners(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 96))])
    assert corner_colours(read_image(photo)) == [RED, GREEN, WHITE, BLUE]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_an_animation_shows_its_first_frame(kind):
    frames = [Image.new("RGB", (9, 7), colour) for colour in (RED, GREEN, BLUE)]
    pixels = read_image(saved(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert pixels.shape == (7, 9, 3)
    assert (pixels[..., 0] > 200).all()
    assert (pixels[..., 1:] < 50).all()


def test_an_interlaced_png_is_read():
    # Pillow writes none: seven passes of an 8 x 8 grey picture whose value is its row times 16
    picture = np.repeat(np.arange(0, 128, 16, dtype=np.uint8)[:, None], 8, axis=1)
    starts = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    passes = [picture[y::down, x::right] for y, x, down, right in (*starts, (1, 0, 2, 1))]
    rows = b"".join(b"\x00" + row.tobytes() for one in passes for row in one)
    file = png(8, 8, rows, interlaced=True)
    assert np.array_equal(read_image(file), np.repeat(picture[..., None], 3, axis=-1))


@pytest.mark.parametrize(("mode", "value"), [("1", 1), ("L", 200)])
def test_grey_has_three_equal_channels(mode, value):
    pixels = read_image(saved(Image.new(mode, (4, 3), value)))
    assert (pixels == (255 if mode == "1" else 200)).all()


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_printing_inks_become_colours(kind):
    magenta = read_image(saved(Image.new("CMYK", (16, 16), (0, 255, 0, 0)), kind))
    assert magenta[8, 8, 0] > 180
    assert magenta[8, 8, 1] < 60


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_as_bright_as_its_upper_byte(kind):
    deep = np.array([[0, 0x4000, 0x80FF, 0xFFFF]], np.uint16)
    pixels = read_image(saved(Image.fromarray(deep), kind))
    assert pixels[0, :, 0].tolist() == [0, 0x40, 0x80, 0xFF]


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_grey_without_a_white_of_its_own_is_stretched(dtype):
    deep = Image.fromarray(np.array([[-100, 0, 155]], dtype))
    assert read_image(saved(deep, "TIFF"))[0, :, 0].tolist() == [0, 100, 255]


def test_grey_that_is_no_number_somewhere_is_still_read():
    deep = Image.fromarray(np.array([[np.nan, np.inf, -3e38, 3e38]], np.float32))
    assert read_image(saved(deep, "TIFF"))[0, 2:, 0].tolist() == [0, 255]


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "RGBA"), ("PNG", "LA"), ("TIFF", "RGBA"), ("TIFF", "LA"), ("WEBP", "RGBA")],
)
def test_what_is_transparent_is_white(kind, mode):
    image = Image.new(mode, (2, 1), (0,) * len(mode))
    image.putpixel((1, 0), (*(0,) * (len(mode) - 1), 255))
    pixels = read_image(saved(image, kind, **({"lossless": True} if kind == "WEBP" else {})))
    assert pixels[0].tolist() == [[255, 255, 255], [0, 0, 0]]


def test_what_is_half_transparent_is_mixed_with_white():
    assert read_image(saved(Image.new("RGBA", (1, 1), (0, 0, 0, 128)))).ravel()[0] == 127


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_white(kind):
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putpixel((1, 0), 1)
    assert read_image(saved(image, kind, transparency=0))[0].tolist() == [[255] * 3, [255, 0, 0]]


@pytest.mark.parametrize(("mode", "clear"), [("L", 0), ("RGB", (0, 0, 0))])
def test_a_colour_declared_transparent_is_white(mode, clear):
    assert (read_image(saved(Image.new(mode, (2, 2)), transparency=clear)) == 255).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "This file is empty: choose a PNG, JPEG"),
        (b"just a few words", "no picture that can be read here: choose"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF document: choose"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "a HEIC photo"),
        (b"PK\x03\x04\x14\x00\x06\x00", "a zip archive"),
    ],
)
def test_what_is_no_picture_is_named_with_what_would_be(content, words):
    with pytest.raises(ImageError, match=words):
        read_image(content)


@pytest.mark.parametrize(
    "kind", ["PPM", "ICO", "TGA", "PCX", "SGI", "EPS", "DDS", "JPEG2000", "AVIF"]
)
def test_formats_that_few_need_are_not_even_tried(kind):
    Image.init()
    if kind not in Image.SAVE:
        pytest.skip(f"this Pillow writes no {kind}")
    with pytest.raises(ImageError, match="choose a PNG, JPEG, WebP, GIF, BMP or TIFF picture"):
        read_image(saved(Image.new("RGB", (32, 32), RED), kind))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.95])
def test_a_truncated_file_is_refused(name, kept):
    kind, options = KINDS[name]
    image = Image.fromarray(noise(64, 48, 3))
    whole = saved(
        image.quantize(256) if "palette" in name or kind == "GIF" else image, kind, **options
    )
    with pytest.raises(ImageError, match="choose a PNG, JPEG, WebP, GIF, BMP or TIFF picture"):
        read_image(whole[: int(len(whole) * kept)])


@pytest.mark.parametrize("side", [7_072, 10_000, 100_000])
def test_too_many_pixels_are_refused_by_the_header_alone(side):
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="A picture may have 50 megapixels, got"):
            read_image(png(side, side, b""))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_small_file_that_unpacks_to_a_wall_of_pixels_is_refused():
    with pytest.raises(ImageError, match="got 8,000 x 7,000 pixels: make it smaller first"):
        read_image(saved(Image.new("1", (8_000, 7_000))))


def test_too_many_bytes_are_refused_unopened():
    with pytest.raises(ImageError, match=r"A picture may have 25 MB, got 25\.0 MB"):
        read_image(saved(corners()) + bytes(MAXIMUM_BYTES))


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
@pytest.mark.parametrize("described", [GREY, COLOUR], ids=lambda described: described.name)
def test_the_oddest_sizes_fit(size, described):
    pixels = fit(read_image(saved(Image.new("RGB", size, RED))), described)
    assert pixels.shape == (described.height, described.width, 3)
    assert (pixels == pixels[0, 0]).all()


@pytest.mark.parametrize("size", [(300, 100), (100, 300)])
def test_the_middle_is_kept(size):
    image = Image.new("RGB", size, RED)
    left, upper = (size[0] - 100) // 2, (size[1] - 100) // 2
    image.paste(GREEN, (left, upper, left + 100, upper + 100))
    assert (fit(np.array(image), COLOUR)[3:-3, 3:-3] == GREEN).all()


def test_shrinking_averages_and_does_not_skip():
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(fit(stripes, COLOUR)[:, 2:-2].astype(int) - 127).max() < 10


def test_grey_datasets_see_luminance_in_three_channels():
    pixels = fit(np.full((50, 50, 3), GREEN, np.uint8), GREY)
    assert (pixels == round(255 * 0.587)).all()


def test_inverting_swaps_light_and_dark():
    assert (fit(np.full((50, 50, 3), 250, np.uint8), GREY, invert=True) == 5).all()


@pytest.mark.parametrize("position", [0, 7])
def test_an_image_of_the_dataset_passes_unchanged(position):
    image = sources.load(GREY.name).test.images[position]
    assert np.array_equal(fit(image, GREY), image)
    assert np.array_equal(fit(read_image(to_png(image)), GREY), image)


def test_pictures_read_at_once_in_many_threads_come_out_right():
    files = [saved(Image.new("RGB", (64, 64), (shade, 0, 0))) for shade in range(24)]
    shades = [None] * len(files)

    def read(place):
        shades[place] = int(read_image(files[place])[0, 0, 0])

    threads = [threading.Thread(target=read, args=(place,)) for place in range(len(files))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shades == list(range(24))


WHOLE = [saved(corners(4).quantize(16) if kind == "GIF" else corners(4), kind) for kind in FORMATS]
STARTS = [
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF89a",
    b"BM",
    b"II*\x00",
    b"RIFF\x10\0\0\0WEBPVP8L",
]


def is_read_or_refused(content):
    try:
        pixels = read_image(content)
    except ImageError as error:
        assert str(error).endswith(".")
    else:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3


@given(st.sampled_from(STARTS), st.binary(max_size=300))
def test_random_bytes_are_read_or_refused_with_a_sentence(start, rest):
    is_read_or_refused(start + rest)


@given(st.sampled_from(WHOLE), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255))))
def test_a_picture_with_wrong_bytes_is_read_or_refused_with_a_sentence(whole, changes):
    content = bytearray(whole)
    for place, value in changes:
        content[place % len(content)] = value
    is_read_or_refused(bytes(content))
