"""Functions that answer by chance: a few images are asked about twice."""

from __future__ import annotations

from typing import Any

import numpy as np

from fairvision.datasets import Dataset, batches, open_pixels
from fairvision.models import Model, geometry_of
from fairvision.models.black_box import BlackBoxModel

IMAGES = 4
LARGEST = 1e-3
"""By how much a probability may differ: services round, and compute in other orders."""


def unsteady(model: Model, dataset: Dataset, **how: Any) -> str:
    """Return in words that a function answers otherwise when it is asked again; "" if it does not.

    Modules are asked twice when they are opened; see `fairvision.models.probing`.

    Parameters
    ----------
    model : what is asked
    dataset : of its images the first few are shown
    how : options of `fairvision.auditing.collect.collect`
    """
    if not isinstance(model, BlackBoxModel):
        return ""
    options = {key: how[key] for key in ("workers", "cache", "quiet") if key in how}
    pixels = open_pixels(dataset, geometry_of(model), **options)
    rows = np.arange(min(IMAGES, len(dataset)))
    (batch,) = batches(dataset, pixels, IMAGES, device=model.device, order=rows)
    change = model.change(batch.images)
    if change <= LARGEST:
        return ""
    return (
        f"{model.name} does not answer the same when it is asked again (a probability of the first "
        f"{len(rows)} pictures differs by up to {change:.2g}): its figures are those of one draw"
    )
