"""Training: from a dataset folder to a run folder.

Nothing heavy is imported until it is used, so that a command can show its options at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairvision.training.fit import train
    from fairvision.training.output import stored_options
    from fairvision.training.settings import Settings

__all__ = ["Settings", "stored_options", "train"]

_HOMES = {"Settings": "settings", "stored_options": "output", "train": "fit"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fairvision.training' has no attribute {name!r}")
    return getattr(import_module(f"fairvision.training.{_HOMES[name]}"), name)
