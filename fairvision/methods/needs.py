"""What methods need of a dataset: an attribute, masks; and one line where it has none."""

from __future__ import annotations

from fairvision.datasets import Dataset
from fairvision.errors import InputError


def chosen_attribute(dataset: Dataset, name: str, method: str) -> str:
    """Return the attribute whose groups a method is about: the one named, or the only one.

    Raises
    ------
    InputError
        If there is none, or no such one, or none is named and there are several.
    """
    names = list(dataset.attributes)
    if not names:
        raise InputError(
            f"{method} needs an attribute, and {dataset.root} has none: use --method baseline"
        )
    if not name and len(names) > 1:
        raise InputError(f"{method} is about one attribute: say --domain {' or '.join(names)}")
    if name and name not in names:
        raise InputError(f"{dataset.root} has no attribute {name!r}: it has {', '.join(names)}")
    return name or names[0]


def check_person_masks(dataset: Dataset, method: str) -> None:
    """Raise `InputError` unless there are an attribute and masks of the person."""
    if not dataset.attributes:
        raise InputError(
            f"{method} needs an attribute, and {dataset.root} has none: use --method baseline"
        )
    if not dataset.has_masks:
        raise InputError(
            f"{method} needs masks of the person, and {dataset.root} has none in this split: "
            "add a column 'mask', or use --method baseline"
        )
