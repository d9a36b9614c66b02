"""Reading one image, or the mask of a person, from a file of whatever kind."""

from __future__ import annotations

import ctypes
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import PIL
from PIL import ExifTags, Image, UnidentifiedImageError

from fairvision.core import tars
from fairvision.errors import FairvisionWarning, InputError, check_file, shown

_NAMED = 3
_LOSSY = ("JPEG", "MPO", "WEBP", "AVIF", "JPEG2000")
_HALF = 128
_IGNORED = 255  # PASCAL VOC's code, in palette masks, for what nobody could tell

_SEVERAL = (
    "masks with several values or colours above 0, all of which are taken for the person (codes of "
    "other classes or of 'ignore' must be 0; masks that were smoothed must be cut at half)"
)
_VOID = (
    "palette masks with the code 255 beside others, which PASCAL VOC writes for 'cannot be told': "
    "it is not taken for the person (if it is the person, write masks of 0 and 255 only)"
)
_EVERYTHING = (
    "masks that cover the whole picture, so all evidence is on the person (is white the background "
    "there, or 0 not the background?)"
)


@dataclass(frozen=True)
class Encoded:
    """An image file that lies in another file, such as in a cell of a table.

    Attributes
    ----------
    place : where it stands, for messages
    content : its bytes

    Examples
    --------
    >>> try:
    ...     read_image(Encoded("t.parquet row 1", b"no picture"))
    ... except InputError as error:
    ...     print(error)
    t.parquet row 1 is not a picture that can be read
    """

    place: str
    content: bytes = field(repr=False)

    def __str__(self) -> str:
        return self.place


ImageFile: TypeAlias = str | Path | Encoded


class Doubts:
    """Gathers which files are odd in which way, also from threads.

    Examples
    --------
    >>> doubts = Doubts()
    >>> for name in "abcd":
    ...     doubts.note("masks that cover the whole image", f"{name}.png")
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     doubts.tell()
    ...     doubts.tell()
    >>> [str(warning.message) for warning in caught]
    ["masks that cover the whole image: 4 ('a.png', 'b.png', 'c.png', …)"]
    """

    def __init__(self) -> None:
        self._paths: dict[str, dict[str, None]] = {}
        self._warned_of: set[str] = set()

    def note(self, kind: str, path: ImageFile) -> None:
        """Note that a file is odd in some way; `kind` begins with a plural noun."""
        self._paths.setdefault(kind, {})[str(path)] = None

    def tell(self) -> None:
        """Warn of each kind once, however often this is called."""
        for kind, paths in list(self._paths.items()):
            if kind not in self._warned_of:
                self._warned_of.add(kind)
                named = [shown(path) for path in list(paths)[:_NAMED]]
                named += ["…"] * (len(paths) > _NAMED)
                message = f"{kind}: {len(paths)} ({', '.join(named)})"
                warnings.warn(message, FairvisionWarning, stacklevel=2)


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = (5, 6, 7, 8)  # orientations of EXIF that swap width and height
_PROGRAMS = ("EPS", "WMF")  # formats whose files are programs that draw
_ANIMATED = ("GIF", "PNG", "WEBP", "AVIF", "TIFF")
_DEEP, _TWELVE_BITS = 65535, 4095

_MANY_FRAMES = "animated pictures or files of several pages, of which the first is taken"
_DARK = (
    "pictures whose 16-bit values reach no more than 4,095 of 65,535, so they are read as nearly "
    "black (if they hold 12 bits, multiply them by 16 first)"
)


def read_image(
    path: ImageFile, *, least: int | None = None, doubts: Doubts | None = None
) -> Image.Image:
    """Read an image as upright RGB.

    Grey, palette, CMYK and 16-bit images are converted, transparent ones laid on white, and
    rotation noted by the camera (EXIF) is applied. Integers of 16 bits range to 65,535, of TIFF's
    12 bits to 4,095; floating-point images range to 1 or, where they go beyond it, to 255. Of
    animated images the first one is taken.

    Parameters
    ----------
    path : an image file, or the bytes of one
    least : a JPEG may be decoded at a half, a quarter or an eighth of its size, which is faster,
        but with no side below so many pixels; by default it is decoded as it is
    doubts : gathers what is odd about the image; by default that is warned of at once

    Raises
    ------
    InputError
        If the file is missing, truncated or not an image, promises more pixels than can safely be
        decoded, or has values beyond the range of its kind.
    """
    read = decode(path, least=least, doubts=doubts)
    image = read.image
    if is_deep(image):
        return _from_deep(read, path, doubts)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        with reading_image(path):
            image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    with reading_image(path):
        image = image.convert("RGB")
    if read.sixteen_bits and 0 < np.asarray(image).max() <= _TWELVE_BITS >> 8:
        note(_DARK, path, doubts)
    return image


@contextmanager
def quiet_warnings() -> Iterator[None]:
    """Silence what Pillow says about odd files; only in the main thread.

    Warning filters belong to the whole process: threads that set and restore them at the same time
    leave them broken. Whoever reads in threads enters this once around them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def image_size(path: str | Path) -> tuple[int, int]:
    """Return width and height of an image once it is upright, without decoding it.

    Raises
    ------
    InputError
        If the file is missing or not an image.
    """
    with _opened(path) as image:
        return _upright_size(image)


class Decoded(NamedTuple):
    """A decoded file.

    Attributes
    ----------
    image : upright, in the mode that the file has
    kind : Pillow's name of the format
    white : the value of white in 16-bit grey; below 0 where it is that of black
    sixteen_bits : whether the file holds 16 bits per colour, of which Pillow gives the upper 8
    """

    image: Image.Image
    kind: str
    white: int
    sixteen_bits: bool


def decode(
    path: ImageFile,
    *,
    size: tuple[int, int] | None = None,
    least: int | None = None,
    doubts: Doubts | None = None,
) -> Decoded:
    """Decode a file completely and turn it upright.

    With `size`, (width, height), a mask of another size is refused before it is decoded.
    """
    with _opened(path) as image:
        if size is not None and _upright_size(image) != tuple(size):
            width, height = _upright_size(image)
            raise InputError(
                f"mask {path} is {width}×{height} pixels but its picture is {size[0]}×{size[1]}: "
                "make the mask at the picture's size"
            )
        sixteen_bits = any(";16" in str(part) for part in getattr(image, "tile", ()))
        several = image.format in _ANIMATED and _has_frames(image)
        if least is not None:
            image.draft(None, (least, least))
        white = _white(image)
        image.load()
        turn = _TURNS.get(_orientation(image))
        upright = image.copy() if turn is None else image.transpose(turn)
        read = Decoded(upright, image.format or "", white, sixteen_bits)
    if several:
        note(_MANY_FRAMES, path, doubts)
    return read


def note(kind: str, path: ImageFile, doubts: Doubts | None) -> None:
    """Note what is odd about a file, or warn of it where nobody gathers."""
    gathering = Doubts() if doubts is None else doubts
    gathering.note(kind, path)
    if doubts is None:
        gathering.tell()


def is_deep(image: Image.Image) -> bool:
    """Say whether an image is grey with more than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def deep_values(image: Image.Image, path: ImageFile) -> np.ndarray:
    """Return the values of a deep image in float64; `InputError` where one is not finite."""
    values = np.asarray(image).astype(np.float64)
    bad = np.count_nonzero(~np.isfinite(values))
    if bad:
        raise InputError(f"picture {path}: {bad} of its {values.size} values are NaN or infinite")
    return values


@contextmanager
def _opened(path: ImageFile) -> Iterator[Image.Image]:
    """Open an image by its header."""
    if isinstance(path, Encoded):
        file: str | Path | BytesIO = BytesIO(path.content)
    elif os.path.exists(path):
        file = check_file(path, "a picture")
    elif (content := tars.read(Path(path))) is not None:
        file = BytesIO(content)
    else:
        raise InputError(f"picture {path} is missing")
    _quiet_libtiff()
    with reading_image(path), quiet_warnings(), Image.open(file) as image:
        if image.format in _PROGRAMS:
            raise InputError(f"{path} is a program that draws ({image.format}): save it as PNG")
        if min(image.size) < 1:
            raise InputError(f"picture {path} has no pixels")
        yield image


@contextmanager
def reading_image(path: ImageFile) -> Iterator[None]:
    """Turn whatever Pillow raises into one line that names the file."""
    try:
        yield
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"{path} is not a picture that can be read") from None
    except Image.DecompressionBombError:
        raise InputError(f"{path} has more pixels than can safely be decoded") from None
    except PermissionError:
        raise InputError(f"picture {path} may not be read: permission denied") from None
    except MemoryError:
        raise InputError(f"picture {path} takes more memory than there is") from None
    except Exception as error:  # of damaged files Pillow raises errors of many kinds
        reason = str(error) or type(error).__name__
        raise InputError(f"picture {path} is truncated or damaged ({reason})") from None


@cache
def _quiet_libtiff() -> None:
    """Keep libtiff from printing to stderr by itself, for which Pillow has no switch."""
    for library in (Path(PIL.__file__).parents[1] / "pillow.libs").glob("libtiff*"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(str(library)).TIFFSetErrorHandler(None)


def _orientation(image: Image.Image) -> int:
    """Return the orientation that EXIF notes, 1 where there is none or EXIF is damaged."""
    try:
        noted = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # whatever is wrong with the notes, the pixels are there
        return 1
    return noted if isinstance(noted, int) else 1


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Return (width, height) of an opened image once it is upright."""
    # Pillow turns TIFF itself, and gives the turned size from the start
    turned = image.format != "TIFF" and _orientation(image) in _ON_ITS_SIDE
    return (image.height, image.width) if turned else image.size


def _has_frames(image: Image.Image) -> bool:
    """Return whether an image file holds several frames; False if that cannot be read."""
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # what follows the first image does not matter
        return False


def _white(image: Image.Image) -> int:
    """Return the value of white in an image of 16-bit integers; below 0 where that is black."""
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(ExifTags.Base.BitsPerSample, (16,))[0]
    white = 2**bits - 1 if bits in range(9, 16) else _DEEP
    inverted = image.mode.startswith("I;16") and tags.get(262) == 0  # white is zero
    return -white if inverted else white


def _from_deep(read: Decoded, path: ImageFile, doubts: Doubts | None) -> Image.Image:
    """Scale 16-bit and floating-point grey to 8 bits by the range of their kind."""
    image, kind, white, _ = read
    values = deep_values(image, path)
    low, high = float(values.min()), float(values.max())
    if image.mode == "F":
        top = 1 if high <= 2 else 255
        slack = top / 20  # resampling overshoots
    else:
        eight = image.mode == "I" and kind != "PPM" and high <= 255
        top, slack = 255 if eight else abs(white), 0
    if low < -slack or high > top + slack:
        raise InputError(
            f"picture {path}: its values go from {low:g} to {high:g}, but those of such a picture "
            f"must lie in 0 to {'1, or 0 to 255' if image.mode == 'F' else f'{top:,}'}"
        )
    if top == _DEEP and 0 < high <= _TWELVE_BITS:
        note(_DARK, path, doubts)
    grey = np.clip(np.rint(values * 255 / top), 0, 255).astype(np.uint8)
    return Image.fromarray(255 - grey if white < 0 else grey).convert("RGB")


def read_mask(
    path: ImageFile, size: tuple[int, int], *, doubts: Doubts | None = None
) -> np.ndarray:
    """Read a mask: every pixel above 0 belongs to the person.

    JPEG and other lossy files blur what they hold: there it is every pixel of at least 128. In
    palette files the colour counts, not its number, but for 255 beside other numbers.

    Parameters
    ----------
    path : an image file, or the bytes of one, of one channel (of several, any above 0 counts;
        transparency does not)
    size : (width, height) of the upright image that the mask belongs to
    doubts : gathers what is odd about the mask; by default that is warned of at once: several
        values above 0, the code 255 in a palette, a mask of everything

    Returns
    -------
    (height, width) bool

    Raises
    ------
    InputError
        If the file cannot be read, its size is not the image's, its values are not finite, its
        transparency marks other pixels than its colours, or it is lossy and nowhere bright.
    """
    mask, kind, *_ = decode(path, size=size)
    with reading_image(path):
        levels, codes = _levels(mask, path)
        _check_transparency(mask, levels > 0, path)
    person = levels > 0
    above = _distinct(codes[person])
    if kind in _LOSSY and above and (len(above) > 1 or max(above) < _HALF):
        if levels.max() < _HALF:
            raise InputError(
                f"mask {path} is lossy ({kind}) and its values reach only {levels.max():g}, so the "
                "person cannot be told from blur: save it as PNG"
            )
        person = levels >= _HALF
    else:
        if mask.mode == "P" and _IGNORED in above and len(above) > 1:
            above.remove(_IGNORED)
            person &= codes != _IGNORED
            note(_VOID, path, doubts)
        if len(above) > 1:
            note(_SEVERAL, path, doubts)
    if person.all():
        note(_EVERYTHING, path, doubts)
    return person


def _distinct(values: np.ndarray) -> set[float]:
    """Return the values that occur; quickly where there is one, as in most masks."""
    if values.size and values.min() == values.max():
        return {values[0].item()}
    return set(np.unique(values).tolist())


def _levels(mask: Image.Image, path: ImageFile) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest channel and a number of the colour, each (height, width)."""
    if is_deep(mask):
        values = deep_values(mask, path)
        return values, values
    if mask.mode in ("1", "L", "LA"):
        grey = np.asarray(mask.convert("L"))
        return grey, grey
    colours = np.asarray(mask.convert("RGBA").convert("RGB")).astype(np.int32)
    numbers = colours @ np.array([1 << 16, 1 << 8, 1])
    return colours.max(axis=2), np.asarray(mask) if mask.mode == "P" else numbers


def _check_transparency(mask: Image.Image, coloured: np.ndarray, path: ImageFile) -> None:
    """Raise `InputError` where transparency says something else than the colours."""
    if mask.mode not in ("RGBA", "LA", "PA") and "transparency" not in mask.info:
        return
    opaque = np.asarray(mask.convert("RGBA").getchannel("A")) > 0
    if opaque.any() and not opaque.all() and (opaque != coloured).any():
        raise InputError(
            f"mask {path}: its transparency and its colours mark different pixels: save it "
            "without transparency, the person white on black"
        )
