"""Batches of a dataset, served from the cache to the device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fairvision.core.moved import former_names, renamed_arguments
from fairvision.datasets.dataset import Dataset
from fairvision.datasets.geometry import Geometry, as_geometry
from fairvision.datasets.pixels import CachedPixels, Pixels, Taken


@dataclass
class CaptionTokens:
    """Captions of the images of a batch, of which an image may have several, or none.

    Attributes
    ----------
    tokens : (m, t) int64, each from its start to its end, then padding
    of : (m,) int64, which image of the batch each is of
    """

    tokens: Tensor
    of: Tensor


@dataclass
class Batch:
    """Some images of a dataset and all that is known of them, on one device.

    Attributes
    ----------
    rows : (n,) positions in the dataset
    images : (n, 3, height, width) float32 in [0, 1]
    masks : (n, 1, height, width) float32, 1 on the person
    has_mask : (n,) bool
    attributes : group of each image, (n,) int64, -1 unknown
    tasks : (n,) int64, -1 unknown; where many labels may hold (n, labels) float32, -1 unknown
    captions : what was written of the images, where that is learnt
    """

    rows: np.ndarray
    images: Tensor
    masks: Tensor
    has_mask: Tensor
    attributes: dict[str, Tensor]
    tasks: dict[str, Tensor]
    captions: CaptionTokens | None = None

    @property
    def targets(self) -> dict[str, Tensor]:
        """What each head of a network should say: the attributes and the tasks."""
        return {**self.attributes, **self.tasks}


class HeldPixels(Pixels):
    """All pixels of a dataset on a device."""

    def __init__(self, pixels: CachedPixels, device: str | torch.device):
        arrays = pixels.images, pixels.masks, pixels.has_mask
        self._all = Taken(*(torch.tensor(array, device=device) for array in arrays))
        self.has_mask = pixels.has_mask

    def take(self, rows: np.ndarray) -> Taken:
        """Return some rows, in the order asked for."""
        index = torch.from_numpy(rows).to(self._all.images.device)
        return Taken(*(values[index] for values in self._all))


def hold(pixels: Pixels, device: torch.device) -> Pixels:
    """Return the pixels on a GPU if they take at most half of its free memory, else as they are."""
    if device.type != "cuda" or not isinstance(pixels, CachedPixels):
        return pixels
    free, _ = torch.cuda.mem_get_info(device)
    fits = 2 * (pixels.images.nbytes + pixels.masks.nbytes) <= free
    return HeldPixels(pixels, device) if fits else pixels


def batches(
    dataset: Dataset,
    pixels: Pixels,
    batch_size: int,
    *,
    device: str | torch.device = "cpu",
    order: np.ndarray | None = None,
) -> Iterator[Batch]:
    """Yield the dataset in batches, in the given order of rows (default: as they stand).

    Bytes travel to the device and become floats there.
    """
    rows = np.arange(len(dataset)) if order is None else np.asarray(order)
    pieces = (rows[start : start + batch_size] for start in range(0, len(rows), batch_size))
    yield from serve(dataset, pixels, pieces, device=device)


def serve(
    dataset: Dataset,
    pixels: Pixels,
    pieces: Iterable[np.ndarray],
    *,
    device: str | torch.device = "cpu",
) -> Iterator[Batch]:
    """Yield a batch for each array of rows."""
    targets = {name: torch.from_numpy(dataset.encoded(name)) for name in dataset.schema}
    for name in filter(dataset.schema.is_many, targets):
        targets[name] = targets[name].float()
    pieces = list(pieces)
    for taken, rows in zip(pixels.each(pieces), pieces):
        index = torch.from_numpy(rows)
        images, masks = images_of(taken, device)
        yield Batch(
            rows=rows,
            images=images,
            masks=masks,
            has_mask=torch.as_tensor(taken.has_mask).to(device),
            attributes={name: targets[name][index].to(device) for name in dataset.attributes},
            tasks={name: targets[name][index].to(device) for name in dataset.tasks},
        )


def images_of(taken: Taken, device: str | torch.device = "cpu") -> tuple[Tensor, Tensor]:
    """Return images (n, 3, height, width) in [0, 1] and masks (n, 1, height, width), as floats."""
    images, masks = (torch.as_tensor(values).to(device) for values in (taken.images, taken.masks))
    return _to_images(images), masks.unsqueeze(1).float()


@renamed_arguments(picture="image")
def image_tensor(image: Image.Image, size: int | Geometry) -> Tensor:
    """Return one image as (3, size, size) float32 in [0, 1], resized as the cache does."""
    return tensor_of(as_geometry(size).image(image))


def tensor_of(pixels: np.ndarray) -> Tensor:
    """Return bytes (size, size, 3) as (3, size, size) float32 in [0, 1]."""
    return _to_images(torch.from_numpy(pixels.copy()).unsqueeze(0))[0]


def _to_images(images: Tensor) -> Tensor:
    """Turn (n, height, width, 3) bytes into channels-last floats."""
    return images.permute(0, 3, 1, 2).float().div_(255)


__getattr__ = former_names(
    __name__, {"picture_tensor": "fairvision.datasets.batching.image_tensor"}
)
