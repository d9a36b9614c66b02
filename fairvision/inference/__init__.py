"""What a trained model predicts for any image files, how far to trust it, and images of why."""

from fairvision.core.moved import former_names
from fairvision.inference.confidence import features_and_scores
from fairvision.inference.person_masks import make_masks
from fairvision.inference.predictions import (
    ANSWER,
    PREPARATIONS,
    as_batch,
    image_files,
    predict,
    predicted_labels,
    prepares_digits,
)
from fairvision.runs import as_run

__all__ = [
    "ANSWER",
    "PREPARATIONS",
    "as_batch",
    "as_run",
    "features_and_scores",
    "image_files",
    "make_masks",
    "predict",
    "predicted_labels",
    "prepares_digits",
]


__getattr__ = former_names(
    __name__,
    {
        "answers": "fairvision.inference.predicted_labels",
        "picture_files": "fairvision.inference.image_files",
    },
)
