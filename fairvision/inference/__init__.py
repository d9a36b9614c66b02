"""What a trained model predicts for any image files, how far to trust it, and images of why."""

from typing import Any

from fairvision.core.deprecation import warn_renamed
from fairvision.inference.confidence import features_and_scores
from fairvision.inference.images import PREPARATIONS, as_batch, image_files, prepares_digits
from fairvision.inference.predictions import ANSWER, predict, predicted_labels
from fairvision.runs import as_run

__all__ = [
    "ANSWER",
    "PREPARATIONS",
    "as_batch",
    "as_run",
    "features_and_scores",
    "image_files",
    "predict",
    "predicted_labels",
    "prepares_digits",
]


def __getattr__(name: str) -> Any:
    if name == "answers":
        warn_renamed("inference.answers", "predicted_labels")
        return predicted_labels
    raise AttributeError(f"module 'fairvision.inference' has no attribute {name!r}")
