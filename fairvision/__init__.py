"""Bias auditing for image classifiers: does it amplify, and is it right for the right reasons?

The public functions mirror the commands; nothing heavy is imported until one is used.

>>> import fairvision
>>> fairvision.__all__
['BlackBox', 'Head', 'Model', '__version__', 'audit', 'caption', 'captions', 'compare', 'demo',
 'explain', 'export', 'metrics', 'predict', 'sweep', 'train']
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fairvision.core.moved import let_import_from_before
from fairvision.core.version import __version__

if TYPE_CHECKING:
    from fairvision import metrics
    from fairvision.auditing import audit
    from fairvision.auditing.releases import compare
    from fairvision.captioning import captions
    from fairvision.demonstration import demo
    from fairvision.exporting import export
    from fairvision.inference import predict
    from fairvision.inference.explanations import explain
    from fairvision.inference.sentences import caption
    from fairvision.models.black_box import black_box as BlackBox
    from fairvision.models.heads import Head
    from fairvision.models.module_model import module_model as Model
    from fairvision.sweeping import sweep
    from fairvision.training import train

__all__ = [
    "BlackBox",
    "Head",
    "Model",
    "__version__",
    "audit",
    "caption",
    "captions",
    "compare",
    "demo",
    "explain",
    "export",
    "metrics",
    "predict",
    "sweep",
    "train",
]

_HOMES = {
    "BlackBox": "fairvision.models.black_box:black_box",
    "Head": "fairvision.models.heads:Head",
    "Model": "fairvision.models.module_model:module_model",
    "audit": "fairvision.auditing",
    "caption": "fairvision.inference.sentences",
    "captions": "fairvision.captioning",
    "compare": "fairvision.auditing.releases",
    "demo": "fairvision.demonstration",
    "explain": "fairvision.inference.explanations",
    "export": "fairvision.exporting",
    "predict": "fairvision.inference",
    "sweep": "fairvision.sweeping",
    "train": "fairvision.training",
}

let_import_from_before()


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        home, _, attribute = _HOMES[name].partition(":")
        return getattr(import_module(home), attribute or name)
    if name == "metrics":
        return import_module("fairvision.metrics")
    raise AttributeError(f"module 'fairvision' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
