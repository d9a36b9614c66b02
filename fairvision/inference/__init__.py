"""What a trained run says of any image files: probabilities, confidence, and pictures of why."""

from fairvision.inference.predictions import (
    ANSWER,
    PREPARATIONS,
    answers,
    as_batch,
    as_run,
    features_and_scores,
    image_files,
    predict,
    prepares_digits,
)

__all__ = [
    "ANSWER",
    "PREPARATIONS",
    "answers",
    "as_batch",
    "as_run",
    "features_and_scores",
    "image_files",
    "predict",
    "prepares_digits",
]
