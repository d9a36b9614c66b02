"""Where a network looked: maps over images, and drawings of them.

What needs torch or captum is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairvision.attribution.completeness import convergence_delta
    from fairvision.attribution.layers import gradcam_layer
    from fairvision.attribution.maps import attribute, attribute_stream
    from fairvision.drawing.overlays import overlay

__all__ = [
    "METHODS",
    "attribute",
    "attribute_stream",
    "convergence_delta",
    "gradcam_layer",
    "overlay",
]

METHODS = (
    "gradcam",
    "gradcam_plus_plus",
    "guided_gradcam",
    "guided_backprop",
    "integrated_gradients",
    "saliency",
    "input_x_gradient",
    "deep_lift",
    "gradient_shap",
    "occlusion",
    "feature_ablation",
)

WITHOUT_GRADIENTS = ("occlusion", "feature_ablation")
"""The methods that need no gradients: they look at what a model makes of changed images."""

_HOMES = {
    "attribute": "fairvision.attribution.maps",
    "attribute_stream": "fairvision.attribution.maps",
    "convergence_delta": "fairvision.attribution.completeness",
    "gradcam_layer": "fairvision.attribution.layers",
    "overlay": "fairvision.drawing.overlays",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'fairvision.attribution' has no attribute {name!r}")
