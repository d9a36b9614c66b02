"""Maps against masks on any array library: chunks of images, and what the measures count in them.

One sort per map serves every measure that depends on the order of the pixels. The last bit of a
sorted key says whether the pixel lies inside, so that the mask need not be sorted along.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from array_api_compat import (
    array_namespace,
    device,
    is_array_api_obj,
    is_numpy_array,
    is_torch_array,
)
from numpy.typing import NDArray

from fairvision.errors import InputError
from fairvision.metrics._engine.inputs import to_numpy_or_pandas

Array: TypeAlias = Any  # a NumPy array, a torch tensor, or of another array library
OneSign: TypeAlias = Literal["positive", "negative", "absolute"]
Part: TypeAlias = Literal["positive", "negative", "absolute", "signed"]

# Pixels that are worked on at a time: an image or a few, to fit the caches of a core; enough to
# keep an accelerator busy within about a gigabyte.
AT_A_TIME = {"host": 2**16, "accelerator": 2**24}


class Chunk:
    """Some images as rows of pixels: the evidence, the mask, and where both say something."""

    def __init__(self, maps: Array, masks: Array, part: Part) -> None:
        xp = array_namespace(maps, masks)
        self.xp, self.wide, self.part = xp, widest(maps), part
        self.pixels = maps.shape[1] * maps.shape[2]
        self._maps, masks = (xp.reshape(a, (a.shape[0], self.pixels)) for a in (maps, masks))
        self.inside = masks if masks.dtype == xp.bool else masks != 0
        self.area = self.count(self.inside)
        self.has_mask = (self.area > 0) & (self.area < self.pixels)
        if xp.isdtype(masks.dtype, "real floating"):
            self.has_mask &= ~xp.any(xp.isnan(masks), axis=1)

    @cached_property
    def _finite(self) -> tuple[Array, Array]:
        """The maps with floats for numbers, 0 where one is not finite, and which are finite."""
        xp, maps = self.xp, _floating(self.xp, self._maps, self.wide)
        finite = xp.all(xp.isfinite(maps), axis=1)
        return (maps if xp.all(finite) else xp.where(finite[:, None], maps, 0.0)), finite

    @cached_property
    def evidence(self) -> Array:
        """The part of the maps that counts; nowhere negative unless it is signed."""
        xp, (maps, _) = self.xp, self._finite
        if self.part == "signed":
            return maps
        if self.part == "absolute":
            return xp.abs(maps)
        maps = maps if self.part == "positive" else -maps
        return maps * (maps > 0) + 0.0  # the 0 makes -0.0, whose bits are others, 0.0

    @cached_property
    def largest(self) -> Array:
        """Strongest evidence of each image."""
        return self.xp.max(self.evidence, axis=1)

    @cached_property
    def defined(self) -> Array:
        """Whether there is evidence, a person, and something beside the person."""
        signed = self.part == "signed"
        has_evidence = self.xp.any(self.evidence != 0, axis=1) if signed else self.largest > 0
        return self.has_mask & self._finite[1] & has_evidence

    def count(self, pixels: Array) -> Array:
        """Count the pixels that hold; counts are multiplied with each other, so in 64 bits."""
        return self.xp.astype(self.xp.sum(pixels, axis=1, dtype=self.xp.int32), self.xp.int64)

    def undefined(self) -> Array:
        """Return NaN for every image."""
        return self.ratio(self.area, self.area, self.area < 0)

    def ratio(self, numerator: Array, denominator: Array, defined: Array | None = None) -> Array:
        """Return the quotient where it is defined, else NaN."""
        xp, defined = self.xp, self.defined if defined is None else defined
        numerator = xp.astype(numerator, self.wide)
        denominator = xp.astype(xp.where(defined, denominator, 1), self.wide)
        return xp.where(defined, numerator / denominator, xp.nan)

    @cached_property
    def keys(self) -> Array:
        """Integers in the order of the evidence, ascending; odd inside, even outside.

        Two pixels of equal evidence have the same key but for that last bit.
        """
        xp, evidence = self.xp, self.evidence
        if self.part == "signed":
            return self._signed_keys()
        integer, bits = (xp.int32, 32) if evidence.dtype == xp.float32 else (xp.int64, 64)
        # floats from 0 up are in the order of their bit patterns, of which the first bit is 0;
        # half of their range is taken away so that twice of it fits
        keys = (evidence.view(integer) - 2 ** (bits - 2)) * 2 + xp.astype(self.inside, integer)
        return xp.sort(keys, axis=1, stable=False)

    def _signed_keys(self) -> Array:
        """Use ranks, as signed bit patterns leave no bit for the mask."""
        xp = self.xp
        order = xp.argsort(self.evidence, axis=1, stable=False)
        ordered = xp.take_along_axis(self.evidence, order, axis=1)
        steps = xp.astype(ordered[:, 1:] != ordered[:, :-1], xp.int64)
        ranks = xp.cumulative_sum(steps, axis=1, include_initial=True)
        inside = xp.take_along_axis(self.inside, order, axis=1)
        return xp.sort(ranks * 2 + xp.astype(inside, xp.int64), axis=1)

    def share_of_largest(self, k: Array) -> Array:
        """Share of the k (rows,) largest pixels that lie inside; expected, where ties decide."""
        xp, keys = self.xp, self.keys
        k = xp.clip(k, 1, self.pixels)
        threshold = xp.take_along_axis(keys, (self.pixels - k)[:, None], axis=1)
        tied_outside = threshold - (threshold & 1)
        tied_inside = tied_outside + 1
        above = keys > tied_inside
        n_above, inside_above = self.count(above), self.count(above & self._odd)
        inside = self.count(keys == tied_inside)
        ties = inside + self.count(keys == tied_outside)
        return self.ratio(inside_above * ties + (k - n_above) * inside, k * ties)

    @cached_property
    def _odd(self) -> Array:
        """The keys of pixels inside."""
        return (self.keys & 1) == 1

    def area_under_curve(self) -> Array:
        """Mann-Whitney: pairs of a pixel inside and one outside, in the right order; ties half.

        Positions of the pixels inside, with those outside first among ties and with those inside
        first: their mean counts ties half. The second sort finds nearly all in order.
        """
        xp = self.xp
        positions = xp.arange(self.pixels, dtype=self.keys.dtype, device=device(self.keys))
        last, first = (
            xp.sum(positions * inside, axis=1, dtype=xp.int64)
            for inside in (self._odd, (xp.sort(self.keys ^ 1, axis=1) & 1) == 0)
        )
        pairs = self.area * (self.pixels - self.area)
        return self.ratio(first + last - self.area * (self.area - 1), 2 * pairs)

    @cached_property
    def masses(self) -> tuple[Array, Array]:
        """Sums of the evidence inside and overall, up to a common factor per image."""
        xp, evidence = self.xp, self.evidence
        if evidence.dtype == self.wide:  # else sums fit, as they are made in the wider type
            evidence = evidence / _power_of_two(xp, self.largest)[:, None]
        inside = evidence * xp.astype(self.inside, evidence.dtype)
        return (
            xp.sum(inside, axis=1, dtype=self.wide),
            xp.sum(evidence, axis=1, dtype=self.wide),
        )


def per_image(
    maps: Array, masks: Array, part: Part, measures: Mapping[str, Callable[[Chunk], Array]]
) -> dict[str, Array]:
    """Return each measure of every image, from one walk over arrays that `read` returned."""
    if part not in get_args(Part):
        raise InputError(f"part must be one of {', '.join(get_args(Part))}, not {part!r}")
    n, pixels = maps.shape[0], maps.shape[1] * maps.shape[2]
    on_host = is_numpy_array(maps) or lends_to_numpy(maps)
    rows = max(1, AT_A_TIME["host" if on_host else "accelerator"] // pixels)

    def measured(start: int) -> list[Array]:
        arrays = [array[start : start + rows] for array in (maps, masks)]
        maps_here, masks_here = map(_lent, arrays) if on_host else arrays
        chunk = Chunk(maps_here, masks_here, part)
        return [measure(chunk) for measure in measures.values()]

    starts = range(0, max(n, 1), rows)
    threads = min(len(starts), _threads() if on_host else 1)
    if threads == 1:
        chunks = [measured(start) for start in starts]
    else:
        with ThreadPoolExecutor(threads) as pool:
            chunks = list(pool.map(measured, starts))
    columns = [array_namespace(*parts).concat(parts) for parts in zip(*chunks)]
    if on_host:
        columns = [array_namespace(maps).asarray(column) for column in columns]
    return dict(zip(measures, columns))


def lends_to_numpy(array: Array) -> bool:
    """Tell whether NumPy, which sorts several times faster, can work in the memory of a tensor."""
    return is_torch_array(array) and str(device(array)) == "cpu"


def _lent(array: Array) -> NDArray[Any]:
    """Return an array of NumPy in the same memory; of bfloat16, which it does not have, a copy."""
    if isinstance(array, np.ndarray):
        return array
    xp = array_namespace(array)
    shared = xp.astype(array, xp.float32) if array.dtype == xp.bfloat16 else array
    lent: NDArray[Any] = shared.numpy()
    return lent


def _threads() -> int:
    """Threads for NumPy, which lets others run while it sorts."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    cores = os.cpu_count() or 1
    return max(1, min(8, cores, int(allowed) if allowed.isdigit() else cores))


def read_images(**given: Any) -> list[Array]:
    """Return images of one shape, on one device; lists and NumPy arrays follow a tensor."""
    arrays = {arg: _read_array(arg, images) for arg, images in given.items()}
    shapes = {arg: tuple(array.shape) for arg, array in arrays.items()}
    (first, shape), *others = shapes.items()
    for arg, other in others:
        if other != shape:
            raise InputError(f"{first} have shape {shape}, but {arg} {other}")
    if len(shape) != 3 or 0 in shape[1:]:
        raise InputError(f"{first} must have shape (n, height, width), not {shape}")
    tensors = {arg: array for arg, array in arrays.items() if not is_numpy_array(array)}
    if not tensors:
        return list(arrays.values())
    try:
        xp = array_namespace(*tensors.values())
        (place,) = {device(tensor) for tensor in tensors.values()}
    except (TypeError, ValueError):
        kinds = " and ".join(f"{type(t).__module__} on {device(t)}" for t in tensors.values())
        raise InputError(f"{' and '.join(tensors)} must lie on one device, not {kinds}") from None
    return [
        array if arg in tensors else xp.asarray(array, device=place, copy=True)
        for arg, array in arrays.items()
    ]


def widest(array: Array) -> Any:
    """Return float64, or float32 on a device that has no float64."""
    xp = array_namespace(array)
    kinds = xp.__array_namespace_info__().dtypes(device=device(array), kind="real floating")
    return kinds.get("float64", xp.float32)


def _read_array(arg: str, images: Any) -> Array:
    """Return images as an array of numbers of any library, without a gradient."""
    if isinstance(images, np.ma.MaskedArray):
        images = to_numpy_or_pandas(images)
    if not is_array_api_obj(images):
        try:
            images = np.asarray(images)
        except (TypeError, ValueError):
            raise InputError(f"{arg} must be an array (n, height, width) of numbers") from None
    images = images.detach() if hasattr(images, "detach") else images
    if not array_namespace(images).isdtype(images.dtype, ("bool", "integral", "real floating")):
        raise InputError(f"{arg} must hold numbers, not {images.dtype}")
    return images


def _floating(xp: Any, maps: Array, wide: Any) -> Array:
    """Return maps in a type whose bits are understood, with every value as it was."""
    if maps.dtype in (xp.float32, wide):
        return maps
    half = [xp.float16, getattr(xp, "bfloat16", xp.float16)]
    return xp.astype(maps, xp.float32 if maps.dtype in half else wide)


def _power_of_two(xp: Any, values: Array) -> Array:
    """Return the largest power of two up to each value, or the smallest normal number."""
    integer, mantissa = (xp.int32, 23) if values.dtype == xp.float32 else (xp.int64, 52)
    power = ((values.view(integer) >> mantissa) << mantissa).view(values.dtype)
    return xp.where(power > 0, power, xp.finfo(values.dtype).smallest_normal)
