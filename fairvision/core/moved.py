"""Modules that have moved: the old paths can be imported, and warn."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from fairvision.core.deprecation import warn_renamed

MOVED = {
    "fairvision.attribution.explain": ("fairvision.inference.explanations",),
    "fairvision.attribution.overlays": ("fairvision.drawing.overlays",),
    "fairvision.attribution.sheets": ("fairvision.drawing.sheets",),
    "fairvision.attribution.stream": ("fairvision.attribution",),
    "fairvision.auditing.absences": ("fairvision.auditing.cautions",),
    "fairvision.auditing.answers": ("fairvision.auditing.inputs",),
    "fairvision.checksums": ("fairvision.core.checksums",),
    "fairvision.csv_files": ("fairvision.core.csv_files",),
    "fairvision.datasets.cifar10s": ("fairvision.datasets.readers.cifar10s",),
    "fairvision.auditing.columns": ("fairvision.auditing.columns",),
    "fairvision.datasets.readers.coco": ("fairvision.datasets.readers.coco",),
    "fairvision.datasets.coco": ("fairvision.datasets.readers.coco",),
    "fairvision.datasets.pixels": ("fairvision.datasets.pixels",),
    "fairvision.datasets.images": ("fairvision.datasets.images",),
    "fairvision.datasets.drawing": ("fairvision.datasets.readers.scenes",),
    "fairvision.datasets.mnist": ("fairvision.datasets.readers.mnist",),
    "fairvision.datasets.pictures": ("fairvision.datasets.images",),
    "fairvision.datasets.table": ("fairvision.datasets.readers.table",),
    "fairvision.draws": ("fairvision.core.draws",),
    "fairvision.familiarity": ("fairvision.inference.confidence",),
    "fairvision.files": ("fairvision.core.files", "fairvision.core.unfinished"),
    "fairvision.ids": ("fairvision.core.spellings",),
    "fairvision.models.devices": ("fairvision.models",),
    "fairvision.models.lecture_cnn": ("fairvision.models.architectures",),
    "fairvision.models.small_cnn": ("fairvision.models.architectures",),
    "fairvision.own_pictures": ("fairvision.inference.digits",),
    "fairvision.postprocessing": ("fairvision.runs.thresholds",),
    "fairvision.processes": ("fairvision.core.processes",),
    "fairvision.report.figures": ("fairvision.results.figures", "fairvision.results.table"),
    "fairvision.report.sanity": ("fairvision.results.expectations",),
    "fairvision.report.words": ("fairvision.results.words",),
    "fairvision.shapes": ("fairvision.core.shapes",),
    "fairvision.spellings": ("fairvision.core.spellings",),
    "fairvision.sweeping.board": ("fairvision.results.leaderboard",),
    "fairvision.table_files": ("fairvision.core.csv_files", "fairvision.core.tables"),
}
"""Where the names of a module are now."""


class _Alias(Loader):
    """Makes a module that has no names but those of the modules where they are now."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module of an old name: warn, and look names up in its new homes."""
        homes = [import_module(home) for home in MOVED[module.__name__]]
        warn_renamed(module.__name__, homes[0].__name__, stacklevel=2)

        def look_up(name: str) -> Any:
            for candidate in (name, name.replace("picture", "image")):
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
