"""Which class of Pillow's kind reads HEIC and AVIF, the formats of phones, if any is installed.

HEIC is read by the package pillow-heif, an optional extra. AVIF is read by Pillow, from version
11.3 on and where its build has the decoder.
"""

from PIL import ImageFile, features

from input_pipeline.extras import advise

try:
    from pillow_heif import HeifImageFile  # pyright: ignore[reportMissingImports] (an extra)
except ImportError:
    HeifImageFile = None
try:
    from PIL.AvifImagePlugin import AvifImageFile
except ImportError:  # Pillow before 11.3.
    AvifImageFile = None
else:
    AvifImageFile = AvifImageFile if features.check("avif") else None

_READERS: dict[str, type[ImageFile.ImageFile] | None] = {
    "HEIC": HeifImageFile,
    "AVIF": AvifImageFile,
}
_ADVICE = {
    "HEIC": advise("heif"),
    "AVIF": 'pip install --upgrade "pillow>=11.3"',
}
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm"), "HEIC"),
}


def find_reader(start: bytes) -> type[ImageFile.ImageFile] | None:
    """Finds the class that reads a HEIC or AVIF file.

    Args:
        start: the first bytes of a file; 64 are enough.

    Returns:
        The class; None if this is no such file.

    Raises:
        LookupError: it is one, and what reads it is not installed; says what to install.
    """
    if start[4:8] != b"ftyp":
        return None
    # The main brand, then four bytes of version, then the brands that also describe the file: the
    # main one may be `mif1`, which both formats share.
    length = min(int.from_bytes(start[:4], "big"), len(start))
    brands = [start[8:12], *(start[at : at + 4] for at in range(16, length, 4))]
    kind = next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)
    if kind is None:
        return None
    if _READERS[kind] is None:
        raise LookupError(f"{kind} cannot be read here yet: {_ADVICE[kind]}")
    return _READERS[kind]
