"""How an image becomes the square that a model takes: whole, or the middle of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from fairvision.datasets.dataset import Dataset
from fairvision.datasets.images import Doubts, ImageFile, image_size, read_image
from fairvision.datasets.regions import SIDES
from fairvision.errors import InputError

_MARGIN = 3
"""A whole image first shrinks by whole numbers, to no less than so many times its final size."""
INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

Window = tuple[float, float, float, float]
"""Left, top, right and bottom of what a model sees, as shares of the image's width and height."""
WHOLE: Window = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Geometry:
    """How an image becomes a square of `size` pixels.

    By default the whole image is resized to it, so nothing of the person or the context is cut
    away. Published networks are often given the middle of an image instead: what is outside of it
    neither the network nor the audit sees, and of a mask only what is inside counts.

    Attributes
    ----------
    size : side of the square in pixels
    shorter : the shorter side is resized to so many pixels, and the middle cut out; None: the whole
        image is resized to the square
    interpolation : one of `INTERPOLATIONS`
    exact : resize as Pillow does; whole images that are much larger are shrunk by whole numbers
        first otherwise, which is faster and differs by a few levels of 255
    is_floored : the corner of the middle is cut at whole pixels by leaving halves out, as
        transformers does it; by rounding otherwise, as torchvision does

    Examples
    --------
    >>> Geometry(224, shorter=256).window((512, 256))
    (0.28125, 0.0625, 0.71875, 0.9375)
    """

    size: int
    shorter: int | None = None
    interpolation: str = "bilinear"
    exact: bool = field(default=False, compare=False, repr=False)
    is_floored: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        if self.size < 1:
            raise InputError(f"the size of images must be 1 or more, not {self.size}")
        if self.shorter is not None and self.shorter < self.size:
            raise InputError(
                f"the shorter side, {self.shorter}, is smaller than the square of {self.size} that "
                "is cut out of the image"
            )
        if self.interpolation not in INTERPOLATIONS:
            choices = ", ".join(INTERPOLATIONS)
            raise InputError(f"interpolation {self.interpolation!r} is not one of {choices}")

    @property
    def is_plain(self) -> bool:
        """Whether it is that of the networks that fairvision trains."""
        return self.shorter is None and self.interpolation == "bilinear" and not self.exact

    @property
    def key(self) -> str | None:
        """What tells decoded images apart in a cache; None where they cannot be kept."""
        how = f"{self.interpolation}-exact{'-floored' if self.is_floored else ''}"
        return "" if self.is_plain else f"{self.shorter}-{how}"

    def read(self, path: ImageFile, doubts: Doubts | None = None) -> npt.NDArray[np.uint8]:
        """Return the image in a file as the model sees it, (size, size, 3)."""
        least = _MARGIN * self.size if self.is_plain else None
        return self.image(read_image(path, least=least, doubts=doubts))

    def image(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """Return an RGB image as the model sees it, (size, size, 3)."""
        how, side = INTERPOLATIONS[self.interpolation], self.size
        if self.shorter is not None:
            resized = image.resize(self._resized(image.size), how)
            left, top = self._corner(resized.size)
            return np.asarray(resized.crop((left, top, left + side, top + side)))
        if image.size != (side, side):
            gap = float(_MARGIN) if self.is_plain else None
            image = image.resize((side, side), how, reducing_gap=gap)
        return np.asarray(image)

    def mask(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
        """Return a mask (height, width) as (size, size) of 0 and 1.

        None vanishes by shrinking; it is empty where nothing of it lies in what the model sees.
        """
        side = self.size
        if self.shorter is None and mask.shape == (side, side):
            return mask.astype(np.uint8)
        grey = Image.fromarray(mask.astype(np.uint8) * 255)
        if self.shorter is None:
            share = np.asarray(grey.resize((side, side), Image.Resampling.BOX))
        else:
            resized = grey.resize(self._resized(grey.size), Image.Resampling.BOX)
            left, top = self._corner(resized.size)
            share = np.asarray(resized.crop((left, top, left + side, top + side)))
        inside = share >= 128
        return (inside if inside.any() else share > 0).astype(np.uint8)

    def window(self, image_size: tuple[int, int]) -> Window:
        """Return what is seen of an upright image of (width, height)."""
        if self.shorter is None:
            return WHOLE
        width, height = self._resized(image_size)
        left, top = self._corner((width, height))
        right, bottom = left + self.size, top + self.size
        return left / width, top / height, right / width, bottom / height

    def _resized(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Return width and height once the shorter side has its length, as torchvision rounds."""
        assert self.shorter is not None
        width, height = image_size
        if width <= height:
            return self.shorter, int(self.shorter * height / width)
        return int(self.shorter * width / height), self.shorter

    def _corner(self, resized: tuple[int, int]) -> tuple[int, int]:
        """Return left and top of the square in the middle."""
        left, top = (side - self.size for side in resized)
        return (left // 2, top // 2) if self.is_floored else (round(left / 2.0), round(top / 2.0))

    def __str__(self) -> str:
        if self.shorter is None:
            text = f"whole images resized to {self.size} × {self.size}"
        else:
            text = f"the middle {self.size} × {self.size} of images with {self.shorter} pixels"
            text += " on the shorter side"
        return f"{text}, {self.interpolation}"


def as_geometry(size: int | Geometry) -> Geometry:
    """Return a geometry as it is, and a size as that of whole images.

    >>> as_geometry(64)
    Geometry(size=64, shorter=None, interpolation='bilinear')
    """
    return size if isinstance(size, Geometry) else Geometry(size)


def seen_part(image: Image.Image, geometry: Geometry) -> Image.Image:
    """Return the part of an image that a model sees, at the image's own resolution."""
    window = geometry.window(image.size)
    if window == WHOLE:
        return image
    left, top, right, bottom = (round(share * side) for share, side in zip(window, 2 * image.size))
    return image.crop((left, top, right, bottom))


def place(
    values: npt.NDArray[np.float32], window: Window, image_size: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Lay a map of what a model sees, (size, size), on the whole image; 0 where it does not look.

    Parameters
    ----------
    values : a map
    window : what is seen
    image_size : width and height of the result

    Returns
    -------
    (height, width)

    Examples
    --------
    >>> place(np.ones((2, 2), np.float32), (0.5, 0.0, 1.0, 1.0), (4, 2))
    array([[0., 0., 1., 1.],
           [0., 0., 1., 1.]], dtype=float32)
    """
    width, height = image_size
    left, top, right, bottom = window
    box = round(left * width), round(top * height), round(right * width), round(bottom * height)
    side = max(1, box[2] - box[0]), max(1, box[3] - box[1])
    drawn = Image.new("F", (width, height), 0.0)
    drawn.paste(Image.fromarray(values).resize(side, Image.Resampling.BILINEAR), box[:2])
    return np.asarray(drawn)


def seen_regions(regions: pd.DataFrame, dataset: Dataset, geometry: Geometry) -> pd.DataFrame:
    """Return the boxes of objects as shares of what a model sees of their images.

    Parameters
    ----------
    regions : as `fairvision.datasets.read_regions` gives them
    dataset : whose images they are in; regions of other images are left out
    geometry : of the model

    Returns
    -------
    regions, without those that lie outside of what the model sees
    """
    if geometry.window((3, 2)) == WHOLE == geometry.window((2, 3)):
        return regions
    images = dict(zip(dataset.samples["id"], dataset.samples["image"]))
    kept = regions[regions["id"].isin(images.keys())].reset_index(drop=True)
    windows = {
        identity: geometry.window(image_size(dataset.root / images[identity]))
        for identity in kept["id"].unique()
    }
    seen = np.array([windows[identity] for identity in kept["id"]], float).reshape(-1, 4)
    boxes = kept[list(SIDES)].to_numpy(float)
    starts, extents = np.tile(seen[:, :2], 2), np.tile(seen[:, 2:] - seen[:, :2], 2)
    inside = np.clip((boxes - starts) / extents, 0, 1)
    kept[list(SIDES)] = inside
    is_seen = (inside[:, 0] < inside[:, 2]) & (inside[:, 1] < inside[:, 3])
    return kept.take(np.flatnonzero(is_seen)).reset_index(drop=True)
