"""Reading one picture or one mask from a file, whatever its kind."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from fairvision.errors import InputError

_ON_ITS_SIDE = (5, 6, 7, 8)  # orientations of EXIF that swap width and height


def read_picture(path: str | Path, *, least: int | None = None) -> Image.Image:
    """Read a picture as upright RGB.

    Grey, palette, CMYK and 16-bit pictures are converted, transparent ones laid on white, and
    rotation noted by the camera (EXIF) is applied.

    Parameters
    ----------
    path : a picture file
    least : a JPEG may be decoded at a half, a quarter or an eighth of its size, which is faster,
        but with no side below so many pixels; by default it is decoded as it is

    Raises
    ------
    InputError
        If the file is missing, truncated or not a picture.
    """
    picture = _open(path, least)
    if picture.mode.startswith("I") or picture.mode == "F":
        return _from_deep(picture)
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")


def read_mask(path: str | Path, size: tuple[int, int]) -> np.ndarray:
    """Read a mask: every pixel above 0 belongs to the person.

    Parameters
    ----------
    path : a picture file of one channel (of several, any above 0 counts; transparency does not)
    size : (width, height) of the upright picture that the mask belongs to

    Returns
    -------
    (height, width) bool

    Raises
    ------
    InputError
        If the file cannot be read, or its size is not the picture's.
    """
    mask = _open(path)
    if mask.size != tuple(size):
        raise InputError(
            f"mask {path} is {mask.width}×{mask.height} pixels but its picture is "
            f"{size[0]}×{size[1]}: make the mask at the picture's size"
        )
    if mask.mode == "P":
        mask = mask.convert("RGB")
    elif mask.mode in ("RGBA", "LA"):
        mask = mask.convert(mask.mode.rstrip("A"))
    person: np.ndarray = np.any(np.atleast_3d(np.asarray(mask) > 0), axis=2)
    return person


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


def picture_size(path: str | Path) -> tuple[int, int]:
    """Return width and height of a picture once it is upright, without decoding it.

    Raises
    ------
    InputError
        If the file is missing or not a picture.
    """
    with _told(path), quiet_warnings(), Image.open(path) as picture:
        turned = picture.getexif().get(ExifTags.Base.Orientation, 1) in _ON_ITS_SIDE
        return (picture.height, picture.width) if turned else picture.size


def _open(path: str | Path, least: int | None = None) -> Image.Image:
    """Decode a file completely and turn it upright."""
    with _told(path), quiet_warnings(), Image.open(path) as picture:
        if least is not None:
            picture.draft(None, (least, least))
        picture.load()
        return ImageOps.exif_transpose(picture)


@contextmanager
def _told(path: str | Path) -> Iterator[None]:
    """Turn what Pillow raises into one line that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"picture {path} is missing") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, not a picture") from None
    except UnidentifiedImageError:
        raise InputError(f"{path} is not a picture that can be read") from None
    except Image.DecompressionBombError:
        raise InputError(f"{path} has more pixels than can safely be decoded") from None
    except PermissionError:
        raise InputError(f"picture {path} may not be read: permission denied") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise InputError(f"picture {path} is truncated or damaged ({error})") from None


def _from_deep(picture: Image.Image) -> Image.Image:
    """Scale 16-bit and floating-point grey to 8 bits by the range of their kind."""
    values = np.asarray(picture).astype(np.float64)
    if picture.mode == "F":
        values = values * 255 if values.max(initial=0) <= 1 else values
    elif picture.mode.startswith("I;16") or values.max(initial=0) > 255:
        values = values / 257
    grey = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")
