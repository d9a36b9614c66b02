"""Readers of datasets: a file per source, a function that makes a dataset folder of it.

A reader of another package is registered by `register_reader`, or named as an entry point of the
group `fairvision.readers`; `fairvision data NAME` then calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fairvision.core.plugins import Plugins, Summaries
from fairvision.errors import InputError

if TYPE_CHECKING:
    from fairvision.datasets.dataset import Dataset

__all__ = ["READERS", "Reader", "find_reader", "register_reader"]

Reader = Callable[..., "Dataset"]
"""Makes a dataset folder.

Its positional parameters are the source (or several, or none) and, last, the folder to write; those
that can only be given by name are options. Its docstring is the help of the command: the first
lines, and what the section Parameters says of each option.
"""


def _checked(name: str, reader: Any) -> Reader:
    """Return a reader; raise `InputError` if it cannot be called."""
    if not callable(reader):
        raise InputError(f"reader {name!r} is no function")
    function: Reader = reader
    return function


_READERS: Plugins[Reader] = Plugins(
    "reader",
    "fairvision.readers",
    {
        # the user's own images
        "csv": "fairvision.datasets.readers.table:from_table",
        "folder": "fairvision.datasets.readers.imagefolder:from_folder",
        "hf": "fairvision.datasets.readers.huggingface:from_huggingface",
        "webdataset": "fairvision.datasets.readers.webdataset:from_webdataset",
        # what programs of annotation write
        "coco": "fairvision.datasets.readers.coco:from_coco",
        "cvat": "fairvision.datasets.readers.cvat:from_cvat",
        "labelstudio": "fairvision.datasets.readers.labelstudio:from_labelstudio",
        "voc": "fairvision.datasets.readers.voc:from_voc",
        # published sets
        "celeba": "fairvision.datasets.readers.celeba:from_celeba",
        "cifar10s": "fairvision.datasets.readers.cifar10s:from_cifar10",
        "fairface": "fairvision.datasets.readers.fairface:from_fairface",
        "miap": "fairvision.datasets.readers.miap:from_miap",
        "mnist": "fairvision.datasets.readers.mnist:from_mnist",
        "utkface": "fairvision.datasets.readers.utkface:from_utkface",
        # drawn
        "scenes": "fairvision.datasets.readers.scenes:scenes",
        "reasons": "fairvision.datasets.readers.reasons:reasons",
    },
    _checked,
    reserved=("captions", "show", "hide", "masks"),  # commands of `fairvision data`
)

READERS: Mapping[str, str] = Summaries(
    _READERS, lambda reader: (reader.__doc__ or "").strip().partition("\n")[0]
)
"""What each reader does, in a line, by its name, in the order of help; those from outside come
last."""


def register_reader(name: str, function: Reader) -> None:
    """Let a reader from outside be used by its name, as those of fairvision are.

    Parameters
    ----------
    name : how it is called by `fairvision data`
    function : see `Reader`

    Raises
    ------
    InputError
        If something else has the name, or this is no function.
    """
    _READERS.register(name, function)


def find_reader(name: str) -> Reader:
    """Return the reader of that name; `InputError` lists those that there are.

    >>> find_reader("csv").__name__
    'from_table'
    """
    return _READERS.find(name)
