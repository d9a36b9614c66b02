"""Names and modules that have moved or become better: the old ones work, and warn."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

MOVED = {
    "fairvision.attribution.answers": ("fairvision.attribution.explained",),
    "fairvision.attribution.curves": ("fairvision.attribution.faithfulness",),
    "fairvision.attribution.drawings": ("fairvision.inference.explanations",),
    "fairvision.attribution.explain": ("fairvision.inference.explanations",),
    "fairvision.attribution.noise": (
        "fairvision.attribution.explained",
        "fairvision.attribution.perturbations",
    ),
    "fairvision.attribution.options": ("fairvision.attribution.explained",),
    "fairvision.attribution.overlays": ("fairvision.drawing.sheets",),
    "fairvision.attribution.page": ("fairvision.inference.explanations",),
    "fairvision.attribution.reach": ("fairvision.attribution.completeness",),
    "fairvision.attribution.sheets": ("fairvision.drawing.sheets",),
    "fairvision.attribution.state": ("fairvision.attribution.explained",),
    "fairvision.attribution.stream": ("fairvision.attribution",),
    "fairvision.attribution.together": ("fairvision.attribution.one_pass",),
    "fairvision.auditing.absences": ("fairvision.auditing.cautions",),
    "fairvision.auditing.answers": ("fairvision.auditing.inputs",),
    "fairvision.auditing.cells": (
        "fairvision.auditing.probabilities",
        "fairvision.datasets.label_columns",
        "fairvision.schema",
    ),
    "fairvision.auditing.contact_sheets": ("fairvision.drawing.sheets",),
    "fairvision.auditing.parts": ("fairvision.core.tables", "fairvision.core.csv_files"),
    "fairvision.auditing.pictures": ("fairvision.auditing.image_sheets",),
    "fairvision.auditing.schema": ("fairvision.schema", "fairvision.auditing.columns"),
    "fairvision.auditing.shares": ("fairvision.results.words",),
    "fairvision.captioning.cautions": ("fairvision.captioning.verdict",),
    "fairvision.captioning.files": ("fairvision.captioning.labels",),
    "fairvision.captioning.objects": ("fairvision.captioning.material",),
    "fairvision.checksums": ("fairvision.core.checksums",),
    "fairvision.cli.endings": ("fairvision.cli.printing",),
    "fairvision.csv_files": ("fairvision.core.csv_files",),
    "fairvision.datasets.cache": ("fairvision.datasets.pixels",),
    "fairvision.datasets.caption_words": (
        "fairvision.datasets.readers.coco",
        "fairvision.metrics.caption_words",
    ),
    "fairvision.datasets.cifar10s": ("fairvision.datasets.readers.cifar10s",),
    "fairvision.datasets.coco": (
        "fairvision.datasets.readers.coco",
        "fairvision.datasets.readers.coco_masks",
    ),
    "fairvision.datasets.coding": ("fairvision.datasets.label_texts",),
    "fairvision.datasets.decoding": ("fairvision.datasets.pixels",),
    "fairvision.datasets.description": ("fairvision.datasets.folder",),
    "fairvision.datasets.doubts": ("fairvision.datasets.images",),
    "fairvision.datasets.drawing": ("fairvision.datasets.readers.scenes",),
    "fairvision.datasets.idx": ("fairvision.datasets.readers.mnist",),
    "fairvision.datasets.layouts": ("fairvision.datasets.folder",),
    "fairvision.datasets.masks": ("fairvision.datasets.images",),
    "fairvision.datasets.mnist": ("fairvision.datasets.readers.mnist",),
    "fairvision.datasets.pictures": ("fairvision.datasets.images",),
    "fairvision.datasets.stamps": ("fairvision.datasets.dataset",),
    "fairvision.datasets.table": ("fairvision.datasets.readers.table",),
    "fairvision.draws": ("fairvision.core.checksums",),
    "fairvision.familiarity": ("fairvision.inference.confidence",),
    "fairvision.files": ("fairvision.core.files",),
    "fairvision.ids": ("fairvision.core.spellings",),
    "fairvision.methods.adversary": ("fairvision.methods.adversarial",),
    "fairvision.methods.confusion": ("fairvision.methods.adversarial",),
    "fairvision.methods.domain_discriminative": ("fairvision.methods.domains",),
    "fairvision.methods.domain_independent": ("fairvision.methods.domains",),
    "fairvision.methods.heads": ("fairvision.methods.method",),
    "fairvision.methods.thresholds": ("fairvision.methods.threshold_optimizer",),
    "fairvision.metrics.means": ("fairvision.metrics.contrasts",),
    "fairvision.models.blocks": ("fairvision.models.tuning",),
    "fairvision.models.checkpoints": ("fairvision.models.weights",),
    "fairvision.models.devices": ("fairvision.models",),
    "fairvision.models.domain_head": ("fairvision.models.network",),
    "fairvision.models.inception": ("fairvision.models.architectures",),
    "fairvision.models.lecture_cnn": ("fairvision.models.architectures",),
    "fairvision.models.resnet18_32px": ("fairvision.models.architectures",),
    "fairvision.models.small_cnn": ("fairvision.models.architectures",),
    "fairvision.own_pictures": ("fairvision.inference.digits",),
    "fairvision.postprocessing": ("fairvision.runs.thresholds",),
    "fairvision.processes": ("fairvision.core.processes",),
    "fairvision.report.figures": ("fairvision.results.figures",),
    "fairvision.report.gallery": ("fairvision.report.template",),
    "fairvision.report.sanity": ("fairvision.results.expectations",),
    "fairvision.report.words": ("fairvision.results.words",),
    "fairvision.shapes": ("fairvision.core.shapes",),
    "fairvision.spellings": ("fairvision.core.spellings",),
    "fairvision.sweeping.board": ("fairvision.results.leaderboard",),
    "fairvision.table_files": ("fairvision.core.csv_files", "fairvision.core.tables"),
    "fairvision.training.allocation": ("fairvision.training.processes",),
    "fairvision.training.augment": ("fairvision.training.chance",),
    "fairvision.training.averages": ("fairvision.training.log",),
    "fairvision.training.compiling": ("fairvision.training.processes",),
    "fairvision.training.dropout": ("fairvision.training.chance",),
    "fairvision.training.epochs": ("fairvision.training.fit",),
    "fairvision.training.learnable": ("fairvision.training.preparation",),
    "fairvision.training.loop": ("fairvision.training.steps",),
    "fairvision.training.place": ("fairvision.training.processes",),
    "fairvision.training.start": ("fairvision.training.preparation", "fairvision.models.tuning"),
    "fairvision.training.worst_group": ("fairvision.training.log",),
    "fairvision.unfinished": ("fairvision.core.files",),
    "fairvision.unpacking": ("fairvision.core.csv_files",),
}
"""Where the names of a module are now."""

RENAMED = {
    "fairvision.attribution.together.answers_and_gradcam": "logits_and_maps",
    "fairvision.auditing.pictures.pictures": "image_sheets",
}
"""What names are called now that are called otherwise where they are."""


def warn_renamed(old: str, new: str, *, stacklevel: int = 3) -> None:
    """Warn that `old` is called `new` now; `stacklevel` counts as that of `warnings.warn`."""
    warnings.warn(f"{old} is called {new} now", FutureWarning, stacklevel=stacklevel)


def renamed_arguments(**new_names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take arguments by the names that they once had, with a warning.

    Parameters
    ----------
    new_names : the name of an argument today, by the name that it had

    Examples
    --------
    >>> import warnings
    >>> @renamed_arguments(picture="image")
    ... def area(image):
    ...     return image[0] * image[1]
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     area(picture=(2, 3))
    6
    >>> str(caught[0].message)
    "area: the argument 'picture' is called 'image' now"
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for old in kwargs.keys() & new_names.keys():
                new = new_names[old]
                if new in kwargs:
                    raise TypeError(f"{function.__name__}() got both {old!r} and {new!r}")
                warn_renamed(f"{function.__name__}: the argument {old!r}", repr(new))
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate


def former_names(module: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module's `__getattr__`, which finds names that the module had, with a warning.

    Parameters
    ----------
    module : its `__name__`
    homes : the name today, with its module, by the name that the module had

    Examples
    --------
    >>> import warnings
    >>> look_up = former_names("fairvision.old", {"circle": "math.pi"})
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     look_up("circle")
    3.141592653589793
    >>> str(caught[0].message)
    'fairvision.old.circle is called math.pi now'
    """

    def look_up(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn_renamed(f"{module}.{name}", homes[name])
        home, _, new_name = homes[name].rpartition(".")
        return getattr(import_module(home), new_name)

    return look_up


def former_attributes(new_names: Mapping[str, str]) -> Callable[[Any, str], Any]:
    """Return a class's `__getattr__`, which finds attributes by names that they had.

    Parameters
    ----------
    new_names : the name today, by the name that the attribute or method had

    Examples
    --------
    >>> import warnings
    >>> class Circle:
    ...     radius = 2
    ...     __getattr__ = former_attributes({"size": "radius"})
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     Circle().size
    2
    >>> str(caught[0].message)
    'Circle.size is called radius now'
    """

    def look_up(self: Any, name: str) -> Any:
        owner = type(self).__name__
        if name not in new_names:
            raise AttributeError(f"{owner!r} object has no attribute {name!r}")
        warn_renamed(f"{owner}.{name}", new_names[name])
        return getattr(self, new_names[name])

    return look_up


class _Alias(Loader):
    """Makes a module that has no names but those of the modules where they are now."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module of an old name: warn, and look names up in its new homes."""
        homes = [import_module(home) for home in MOVED[module.__name__]]
        warn_renamed(module.__name__, homes[0].__name__)

        def look_up(name: str) -> Any:
            renamed = RENAMED.get(f"{module.__name__}.{name}", name.replace("picture", "image"))
            for candidate in (name, renamed):
                for home in homes:
                    if hasattr(home, candidate):
                        return getattr(home, candidate)
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        module.__getattr__ = look_up  # type: ignore[method-assign]


class _Finder(MetaPathFinder):
    """Finds modules that have moved; all others are left to the finders of Python."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to load a module that has moved, and None for every other name."""
        return ModuleSpec(fullname, _Alias()) if fullname in MOVED else None


def let_import_from_before() -> None:
    """Let modules be imported by the paths that they had before they moved."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
