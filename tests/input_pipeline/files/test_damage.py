"""A picture that is damaged inside is read and said to be; one that is cut short is an error."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from input_pipeline.files import images
from input_pipeline.files.reduction import Reduction
from made_files import encode


def overwrite(data, place=0.5, count=4096, seed=0):
    """Puts noise in the middle of a file."""
    start = int(len(data) * place)
    noise = np.random.default_rng(seed).integers(0, 256, count).astype(np.uint8).tobytes()
    return data[:start] + noise + data[start + count :]


def decode(data, **options):
    warnings = []
    return images.decode(data, max_pixels=10**6, warn=warnings.append, **options), warnings


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"mode": "L"}, {"mode": "CMYK"}],
)
def test_a_jpeg_damaged_inside_is_read_and_said_to_be(options, capfd):
    data = encode(quality=90, **options)
    middle = len(data) // 2
    whole, warnings = decode(data)
    assert not warnings
    for damaged in (
        data[:middle] + bytes(4096) + data[middle + 4096 :],
        data[:middle] + data[middle + 1000 :],
        data[:middle] + b"\xff\xd9",
        data[:-2] + bytes(50) + b"\xff\xd9",
    ):
        for shrink in (1, 4):
            pixels, (warning,) = decode(damaged, reduction=Reduction(shrink))
            assert warning.startswith("the file is damaged inside (") and "copy or" in warning
            assert pixels.shape == (512 // shrink, 512 // shrink, 3)
        if "progressive" not in options:
            np.testing.assert_array_equal(decode(damaged)[0][:150], whole[:150])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_noise_in_a_jpeg_never_passes_in_silence_and_never_leaves_memory_unwritten(options, capfd):
    data, found = encode(quality=90, **options), set()
    for number, place in enumerate(np.linspace(0.15, 0.8, 40)):
        damaged = overwrite(data, place, seed=number)
        try:
            (first, warnings), (second, _) = decode(damaged), decode(damaged)
        except images.ImageError:
            found.add("error")
            continue
        np.testing.assert_array_equal(first, second)
        assert len(warnings) == 1
        found.add("warning")
    # The scans of a progressive JPEG come one after the other: noise ends the first of them.
    assert ("error" if options else "warning") in found
    assert capfd.readouterr() == ("", "")


def test_a_remark_on_the_header_is_no_damage_unless_bytes_are_lost_there():
    data = encode()
    odd = data.replace(b"JFIF\0\1", b"JFIF\0\3", 1)
    pixels, warnings = decode(odd)
    np.testing.assert_array_equal(pixels, decode(data)[0])
    assert odd != data and not warnings
    assert decode(odd, reduction=Reduction(4))[0].shape == (128, 128, 3)


def test_what_comes_after_a_jpeg_is_no_damage():
    data = encode()
    for tail in (b"\0" * 5000, b"a film that belongs to the photograph", data):
        pixels, warnings = decode(data + tail)
        assert not warnings
        np.testing.assert_array_equal(pixels, decode(data)[0])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_file_cut_short_is_an_error(kind):
    data = encode(kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {}))
    for share in (0.3, 0.6, 0.95):
        with pytest.raises(images.ImageError, match="damaged"):
            decode(data[: int(len(data) * share)])


def test_a_png_damaged_inside_is_an_error():
    with pytest.raises(images.ImageError, match="damaged"):
        decode(overwrite(encode("PNG"), count=50))


def test_threads_warn_of_their_own_file():
    data = [encode(), encode()[:-2] + bytes(50) + b"\xff\xd9"]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: len(decode(data[number % 2])[1]), range(64)))
    assert found == [0, 1] * 32
