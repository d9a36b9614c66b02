"""Where the evidence of a network lies: maps over images.

What needs torch or captum is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fairvision.attribution.names import DEFAULT, METHODS, WITHOUT_GRADIENTS

if TYPE_CHECKING:
    from fairvision.attribution.completeness import convergence_delta
    from fairvision.attribution.layers import gradcam_layer
    from fairvision.attribution.maps import attribute, attribute_stream
    from fairvision.drawing.sheets import overlay

__all__ = [
    "DEFAULT",
    "METHODS",
    "WITHOUT_GRADIENTS",
    "attribute",
    "attribute_stream",
    "convergence_delta",
    "gradcam_layer",
    "overlay",
]

_HOMES = {
    "attribute": "fairvision.attribution.maps",
    "attribute_stream": "fairvision.attribution.maps",
    "convergence_delta": "fairvision.attribution.completeness",
    "gradcam_layer": "fairvision.attribution.layers",
    "overlay": "fairvision.drawing.sheets",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'fairvision.attribution' has no attribute {name!r}")
