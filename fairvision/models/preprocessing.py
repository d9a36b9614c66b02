"""What a model does to an image before it looks at it: a square, a mean and a deviation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from fairvision.datasets.geometry import INTERPOLATIONS, Geometry, Window
from fairvision.datasets.images import Doubts, ImageFile, read_image
from fairvision.errors import InputError, one_line, shown

Transform = Callable[[Image.Image], Any]
"""From an RGB image to what a network takes, (3, size, size)."""

_PROBE = 256
_NEAR = 1e-3
_MIDDLE = (0.02, 0.98)
_TIMES = 8  # a transform is tried: what it does every other time is seen
_LEANING = 0.02  # of a ramp along its edge: 256 levels, and rounding
_NARROW = (90, 140)  # values of an image that equalising would spread
_OVERSHOT = 6  # levels by which resizing may go beyond them
_ROUNDED = 0.01  # share of values that programs round to more than one level apart


@dataclass(frozen=True)
class Preprocessing:
    """How images become what a network takes.

    Attributes
    ----------
    geometry : how an image becomes a square
    mean, std : of each colour, in [0, 1]; the mean is subtracted, then divided by the deviation
    origin : whose word this is, for messages
    """

    geometry: Geometry
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: str = ""

    def __str__(self) -> str:
        numbers = (", ".join(f"{value:.4g}" for value in part) for part in (self.mean, self.std))
        mean, std = numbers
        origin = f" ({self.origin})" if self.origin else ""
        return f"{self.geometry}; mean {mean}; deviation {std}{origin}"


def three(name: str, values: Sequence[float] | float | None, default: float) -> Any:
    """Return a number for each colour from one, three or none; `InputError` for anything else.

    Examples
    --------
    >>> three("mean", 0.5, 0.0), three("std", None, 1.0)
    ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0))
    """
    if values is None:
        return (default,) * 3
    try:
        numbers = np.asarray(values, np.float64).reshape(-1)
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    if len(numbers) not in (1, 3) or not np.isfinite(numbers).all():
        raise InputError(
            f"{name} must be a number, or one for each of three colours, not {shown(values)}"
        )
    if name == "std" and (numbers <= 0).any():
        raise InputError(f"std must be above 0, not {shown(values)}")
    return tuple(map(float, np.broadcast_to(numbers, 3)))


@dataclass(frozen=True)
class TransformGeometry(Geometry):
    """The square that a transform of images makes; its images are never kept in a cache.

    Attributes
    ----------
    transform : from an image to (3, size, size)
    black, white : what it makes of black and white, (3,)
    """

    transform: Transform = field(default=lambda image: image, repr=False)
    black: tuple[float, ...] = ()
    white: tuple[float, ...] = ()
    windows: dict[tuple[int, int], Window] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_plain(self) -> bool:
        """Whether it is that of the networks that fairvision trains."""
        return False

    @property
    def key(self) -> str | None:
        """What tells decoded images apart in a cache: what a function does is not known."""
        return None

    def read(self, path: ImageFile, doubts: Doubts | None = None) -> npt.NDArray[np.uint8]:
        """Return the image in a file as the model sees it, (size, size, 3)."""
        return self.image(read_image(path, doubts=doubts))

    def image(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """Return an RGB image as the model sees it, before mean and deviation."""
        shares = (self._plain(image).clip(0, 1) * 255).round()
        pixels: npt.NDArray[np.uint8] = np.empty((self.size, self.size, 3), np.uint8)
        pixels[:] = shares.transpose(1, 2, 0)
        return pixels

    def mask(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
        """Return a mask (height, width) as (size, size) of 0 and 1."""
        grey = Image.fromarray(mask.astype(np.uint8) * 255).convert("RGB")
        share = self._plain(grey)[0]
        inside = share >= 0.5
        chosen: npt.NDArray[np.bool_] = inside if inside.any() else share > _NEAR
        return chosen.astype(np.uint8)

    def window(self, image_size: tuple[int, int]) -> Window:
        """Return what is seen of an upright image, read off how the transform moves two ramps."""
        if image_size not in self.windows:
            across, down = self._plain(_ramps(image_size))[:2]
            (left, right), (top, bottom) = (
                _edges(across.mean(axis=0), image_size[0]),
                _edges(down.mean(axis=1), image_size[1]),
            )
            self.windows[image_size] = (left, top, right, bottom)
        return self.windows[image_size]

    def _plain(self, image: Image.Image) -> npt.NDArray[np.float32]:
        """Return what the transform makes of an image, black 0 and white 1."""
        black, white = (np.array(v, np.float32)[:, None, None] for v in (self.black, self.white))
        made = _applied(self.transform, image)
        if made.shape[1:] != (self.size, self.size):
            raise InputError(
                f"the transform makes {tuple(made.shape)} of an image of {image.size[0]} × "
                f"{image.size[1]}, and (3, {self.size}, {self.size}) of others: all must be alike"
            )
        plain: npt.NDArray[np.float32] = (made.numpy() - black) / (white - black)
        return plain

    def __str__(self) -> str:
        return f"images of {self.size} × {self.size} by a transform"


def of_transform(transform: Transform) -> Preprocessing:
    """Return what a transform of images does, as found by showing it plain images.

    Parameters
    ----------
    transform : from an RGB image to floats (3, size, size), or to a dictionary with them as
        `pixel_values`, as a processor of Hugging Face gives. It may resize, cut out, pad, scale and
        normalise; what it does to a colour must depend on nothing but that colour.

    Raises
    ------
    InputError
        If it does anything else: turns images over, mixes colours, or does not do the same twice.

    Examples
    --------
    >>> def halved(image):
    ...     pixels = np.asarray(image.resize((8, 8))) / 255
    ...     return torch.tensor(pixels).permute(2, 0, 1) * 2 - 1
    >>> found = of_transform(halved)
    >>> found.geometry.size, found.mean, found.std
    (8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    """
    if not callable(transform):
        raise InputError(f"transform must be a function of images, not {shown(transform)}")
    black, white, fifth, red = (
        _flat(transform, colour) for colour in ((0,) * 3, (255,) * 3, (51,) * 3, (255, 0, 0))
    )
    scale = white - black
    if (np.abs(scale) < _NEAR).any():
        raise InputError("the transform makes the same of black and white images")
    tolerance = 0.02 * np.abs(scale)
    mixed = np.where([True, False, False], white, black)
    if (np.abs(fifth - black - 0.2 * scale) > tolerance).any() or (
        np.abs(red - mixed) > tolerance
    ).any():
        raise InputError(
            "the transform does more to colours than to scale each by itself (it mixes them, or is "
            "not linear): do that inside of the network, or give a fairvision.BlackBox"
        )
    ramps = _ramps((_PROBE + 40, _PROBE))
    once = _always_alike(transform, ramps)
    size = once.shape[1]
    geometry = TransformGeometry(
        size, transform=transform, black=tuple(black.tolist()), white=tuple(white.tolist())
    )
    _check_upright(_middle_of(once, black, white))
    geometry.window(ramps.size)
    _check_colours(_middle_of(_always_alike(transform, _narrow(ramps)), black, white))
    return Preprocessing(
        geometry,
        tuple((0.0 - black / scale).round(6).tolist()),
        tuple((1 / scale).round(6).tolist()),
        "by the transform",
    )


def _always_alike(transform: Transform, image: Image.Image) -> Tensor:
    """Return what a transform makes of an image each time; `InputError` if it is not the same."""
    once, *more = (_applied(transform, image) for _ in range(_TIMES))
    if not all(torch.equal(once, again) for again in more):
        raise InputError(
            "the transform makes something else of an image each time: give the one for evaluation"
        )
    return once


def _middle_of(
    made: Tensor, black: npt.NDArray[np.float64], white: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the middle of what a transform made, black 0 and white 1: edges may be padded."""
    edge = made.shape[1] // 4
    middle = made[:, edge : made.shape[1] - edge, edge : made.shape[2] - edge].double().numpy()
    plain: npt.NDArray[np.float64] = (middle - black[:, None, None]) / (white - black)[
        :, None, None
    ]
    return plain


def _check_upright(made: npt.NDArray[np.float64]) -> None:
    """Raise `InputError` unless the ramps of `_ramps` still go across and down, and only there."""
    if max(np.ptp(made[0], axis=0).max(), np.ptp(made[1], axis=1).max()) > _LEANING:
        raise InputError(
            "the transform turns images, and masks and boxes with them: give the one for evaluation"
        )


def _narrow(image: Image.Image) -> Image.Image:
    """Return an image that is neither near black nor near white anywhere."""
    low, high = _NARROW
    return image.point([round(low + value / 255 * (high - low)) for value in range(256)] * 3)


def _check_colours(made: npt.NDArray[np.float64]) -> None:
    """Raise `InputError` if an image of `_narrow` has become lighter or darker somewhere."""
    low, high = _NARROW
    if made.min() * 255 < low - _OVERSHOT or made.max() * 255 > high + _OVERSHOT:
        raise InputError(
            "the transform changes colours by what else is in an image, as equalising does: do "
            "that inside of the network, or give a fairvision.BlackBox"
        )


def recognised(transform: Transform, origin: str) -> Preprocessing:
    """Return what a transform does, by a plain geometry where one does the same to images.

    Parameters
    ----------
    transform : as for `of_transform`
    origin : whose word this is

    Raises
    ------
    InputError
        As `of_transform` does.

    Examples
    --------
    >>> from torchvision.transforms import v2
    >>> steps = [v2.Resize(40), v2.CenterCrop(32), v2.ToImage(), v2.ToDtype(torch.float32, True)]
    >>> str(recognised(v2.Compose(steps), "a library").geometry)
    'the middle 32 × 32 of images with 40 pixels on the shorter side, bilinear'
    """
    followed = of_transform(transform)
    shape = followed.geometry
    side = shape.size
    generator = np.random.default_rng(0)
    images = [
        Image.fromarray(generator.integers(0, 256, (height, width, 3), np.uint8))
        for height, width in [
            (side * 7 // 5, side * 2),
            *((side * 2 + more, side * 3 // 2) for more in range(6)),  # all ways of rounding
        ]
    ]
    left, top, right, bottom = shape.window(images[0].size)
    near = round(side / max(right - left, bottom - top))
    expected = [shape.image(image).astype(int) for image in images]
    shorters = [None, *range(max(side, near - 2), near + 3)]
    for shorter, interpolation, floored in product(shorters, INTERPOLATIONS, (False, True)):
        plain = Geometry(side, shorter, interpolation, exact=True, is_floored=floored)
        if all(
            (np.abs(plain.image(image) - values) > 1).mean() < _ROUNDED
            for image, values in zip(images, expected)
        ):
            return replace(followed, geometry=plain, origin=origin)
    return replace(followed, origin=origin)


def _flat(transform: Transform, colour: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Return what a transform makes of one colour, (3,); edges may be padded."""
    whole = _applied(transform, Image.new("RGB", (_PROBE, _PROBE), colour)).double()
    edge = whole.shape[1] // 4
    made = whole[:, edge : whole.shape[1] - edge, edge : whole.shape[2] - edge]
    values = made.mean(dim=(1, 2))
    if bool(((made - values[:, None, None]).abs() > _NEAR).any()):
        raise InputError("the transform makes several colours of an image of one")
    return values.numpy()


def _applied(transform: Transform, image: Image.Image) -> Tensor:
    """Return what a transform makes of an image, (3, size, size) float32 on the CPU."""
    try:
        made = transform(image)
        if isinstance(made, Mapping):
            made = made["pixel_values"]
        made = torch.as_tensor(np.asarray(made) if isinstance(made, (list, tuple)) else made)
    except (Exception, SystemExit) as error:  # whatever a user's function raises
        raise InputError(
            f"the transform fails on an RGB image: {type(error).__name__}: {one_line(error, 300)}"
        ) from error
    if made.ndim == 4 and len(made) == 1:
        made = made[0]
    if made.ndim != 3 or made.shape[0] != 3 or made.shape[1] != made.shape[2]:
        raise InputError(
            f"the transform makes {tuple(made.shape)} of an image: (3, size, size) is expected"
        )
    if not made.is_floating_point():
        raise InputError(f"the transform makes {made.dtype} of an image: floats are expected")
    return made.detach().cpu().float()


def _ramps(size: tuple[int, int]) -> Image.Image:
    """Return an image of which red grows from left to right, and green from top to bottom."""
    width, height = size
    pixels = np.full((height, width, 3), 128, np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width).round()
    pixels[..., 1] = np.linspace(0, 255, height).round()[:, None]
    return Image.fromarray(pixels)


def _edges(values: npt.NDArray[np.floating], side: int) -> tuple[float, float]:
    """Return where a ramp of so many pixels begins and ends to be seen, as shares of its length."""
    inside = np.flatnonzero((values > _MIDDLE[0]) & (values < _MIDDLE[1]))
    if len(inside) < 2:
        raise InputError("the transform shows too little of an image to tell which part of it")
    shares = (values[inside] * (side - 1) + 0.5) / side
    slope, start = np.polyfit(inside, shares, 1)
    if slope <= 0:
        raise InputError("the transform turns images over: give the one for evaluation")
    return float(start - slope / 2), float(start + slope * (len(values) - 0.5))
