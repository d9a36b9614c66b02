"""Dataset folders: reading, making, decoding, and hiding parts of pictures.

What needs torch (`Batch`, `batches`, `hide_person`, …) is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fairvision.datasets.cache import open_pixels
from fairvision.datasets.cifar10s import from_cifar10
from fairvision.datasets.coco import from_coco
from fairvision.datasets.description import describe
from fairvision.datasets.drawing import scenes
from fairvision.datasets.folder import SPLITS, UNKNOWN, Dataset, Task, load, save
from fairvision.datasets.masks import read_mask
from fairvision.datasets.mnist import from_mnist
from fairvision.datasets.pictures import read_picture
from fairvision.datasets.pixels import Pixels
from fairvision.datasets.regions import read_regions, save_regions
from fairvision.datasets.table import from_table

if TYPE_CHECKING:
    from fairvision.datasets.batching import Batch, batches, picture_tensor
    from fairvision.datasets.hiding import hide, hide_person, only_person

__all__ = [
    "SPLITS",
    "UNKNOWN",
    "Batch",
    "Dataset",
    "Pixels",
    "Task",
    "batches",
    "describe",
    "from_cifar10",
    "from_coco",
    "from_mnist",
    "from_table",
    "hide",
    "hide_person",
    "load",
    "only_person",
    "open_pixels",
    "picture_tensor",
    "read_mask",
    "read_picture",
    "read_regions",
    "save",
    "save_regions",
    "scenes",
]

_WITH_TORCH = {
    "Batch": "batching",
    "batches": "batching",
    "picture_tensor": "batching",
    "hide": "hiding",
    "hide_person": "hiding",
    "only_person": "hiding",
}


def __getattr__(name: str) -> Any:
    if name in _WITH_TORCH:
        return getattr(import_module(f"fairvision.datasets.{_WITH_TORCH[name]}"), name)
    raise AttributeError(f"module 'fairvision.datasets' has no attribute {name!r}")
