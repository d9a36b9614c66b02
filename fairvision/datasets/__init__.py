"""Dataset folders: reading, making, decoding, and hiding parts of images.

All but the table itself is imported when it is first used: readers, images, and what needs torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fairvision.core.moved import warn_renamed
from fairvision.datasets.dataset import SPLITS, Dataset
from fairvision.datasets.fills import FILLS
from fairvision.schema import UNKNOWN, Task

if TYPE_CHECKING:
    from fairvision.datasets.batching import Batch, batches, image_tensor
    from fairvision.datasets.folder import describe, load, save
    from fairvision.datasets.hiding import hide, hide_person, only_person
    from fairvision.datasets.images import read_image, read_mask
    from fairvision.datasets.pixels import Pixels, open_pixels
    from fairvision.datasets.readers.captions_file import add_captions
    from fairvision.datasets.readers.celeba import from_celeba
    from fairvision.datasets.readers.cifar10s import from_cifar10
    from fairvision.datasets.readers.coco import from_coco
    from fairvision.datasets.readers.cvat import from_cvat
    from fairvision.datasets.readers.fairface import from_fairface
    from fairvision.datasets.readers.huggingface import from_huggingface
    from fairvision.datasets.readers.imagefolder import from_folder
    from fairvision.datasets.readers.labelstudio import from_labelstudio
    from fairvision.datasets.readers.miap import from_miap
    from fairvision.datasets.readers.mnist import from_mnist
    from fairvision.datasets.readers.reasons import caused_group, reasons, redraw
    from fairvision.datasets.readers.scenes import draw_scene, scenes
    from fairvision.datasets.readers.table import from_table
    from fairvision.datasets.readers.utkface import from_utkface
    from fairvision.datasets.readers.voc import from_voc
    from fairvision.datasets.readers.webdataset import from_webdataset
    from fairvision.datasets.regions import read_regions, save_regions

__all__ = [
    "FILLS",
    "SPLITS",
    "UNKNOWN",
    "Batch",
    "Dataset",
    "Pixels",
    "Task",
    "add_captions",
    "batches",
    "caused_group",
    "describe",
    "draw_scene",
    "from_celeba",
    "from_cifar10",
    "from_coco",
    "from_cvat",
    "from_fairface",
    "from_folder",
    "from_huggingface",
    "from_labelstudio",
    "from_miap",
    "from_mnist",
    "from_table",
    "from_utkface",
    "from_voc",
    "from_webdataset",
    "hide",
    "hide_person",
    "image_tensor",
    "load",
    "only_person",
    "open_pixels",
    "read_image",
    "read_mask",
    "read_regions",
    "reasons",
    "redraw",
    "save",
    "save_regions",
    "scenes",
]

_HOMES = {
    "Batch": "batching",
    "Pixels": "pixels",
    "add_captions": "readers.captions_file",
    "batches": "batching",
    "caused_group": "readers.reasons",
    "describe": "folder",
    "draw_scene": "readers.scenes",
    "from_celeba": "readers.celeba",
    "from_cifar10": "readers.cifar10s",
    "from_coco": "readers.coco",
    "from_cvat": "readers.cvat",
    "from_fairface": "readers.fairface",
    "from_folder": "readers.imagefolder",
    "from_huggingface": "readers.huggingface",
    "from_labelstudio": "readers.labelstudio",
    "from_miap": "readers.miap",
    "from_mnist": "readers.mnist",
    "from_table": "readers.table",
    "from_utkface": "readers.utkface",
    "from_voc": "readers.voc",
    "from_webdataset": "readers.webdataset",
    "hide": "hiding",
    "hide_person": "hiding",
    "image_tensor": "batching",
    "load": "folder",
    "only_person": "hiding",
    "open_pixels": "pixels",
    "read_image": "images",
    "read_mask": "images",
    "read_regions": "regions",
    "reasons": "readers.reasons",
    "redraw": "readers.reasons",
    "save": "folder",
    "save_regions": "regions",
    "scenes": "readers.scenes",
}

_RENAMED = {"picture_tensor": "image_tensor", "read_picture": "read_image"}


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        warn_renamed(f"fairvision.datasets.{name}", _RENAMED[name])
        return getattr(import_module("fairvision.datasets"), _RENAMED[name])
    if name in _HOMES:
        return getattr(import_module(f"fairvision.datasets.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'fairvision.datasets' has no attribute {name!r}")
