"""Models that answer nearly the same for every image: what a wrong preprocessing looks like.

The rule was chosen on real networks that were shown images in wrong ranges (docs/audit.md):
values divided by 255 twice leave probabilities that hardly move; values of 0 to 255, or a mean and
deviation left out, mostly leave one answer far more often than it is true. Colours in the wrong
order leave neither, and cannot be told this way.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fairvision.auditing.inputs import predicted
from fairvision.auditing.tables import Samples

STEADY = 0.02
"""Standard deviation over images below which a probability hardly moves; trained networks: > .2."""
BEYOND = 0.3
"""One answer for so many more of the images than are annotated with it; trained networks: < .1."""
ENOUGH = 20  # images


def nearly_constant(samples: Samples, images: str) -> Iterator[str]:
    """Yield a line for each attribute and task of which a model says the same too often.

    Parameters
    ----------
    samples : what a model says
    images : in words, how images are prepared for it

    Examples
    --------
    >>> import pandas as pd
    >>> from fairvision.datasets import Dataset
    >>> truth = Dataset("", "d", {"hat": ("no", "yes")}, {}, pd.DataFrame({"hat": ["no", "yes"]}))
    >>> truth = truth.rows([0, 1] * 20)
    >>> scores = pd.DataFrame({"score/hat/no": [0.501, 0.502] * 20})
    >>> scores["score/hat/yes"] = 1 - scores["score/hat/no"]
    >>> list(nearly_constant(Samples("A", truth, scores), "as they are"))
    ['A answers hat nearly the same for every picture: is its preprocessing right (as they are)?']
    """
    truth = samples.truth
    for head in truth.schema:
        scores = samples.probabilities("score", head)
        if scores is None:
            continue
        scores = scores[~np.isnan(scores).any(axis=1)]
        if len(scores) < ENOUGH:
            continue
        ask = f"is its preprocessing right ({images})?"
        if scores.std(axis=0).max() < STEADY:
            yield f"{samples.model} answers {head} nearly the same for every picture: {ask}"
            continue
        answers = predicted(samples, head)
        if truth.schema.is_many(head) or answers is None:
            continue
        labels = truth.schema.labels(head)
        shares = np.bincount(answers[answers >= 0], minlength=len(labels)) / (answers >= 0).sum()
        most, codes = int(shares.argmax()), truth.encoded(head)
        annotated = (codes[codes >= 0] == most).mean() if (codes >= 0).any() else np.nan
        if shares[most] - annotated >= BEYOND:
            yield (
                f"{samples.model} answers {head} by {labels[most]} in {shares[most]:.0%} of the "
                f"pictures, where it is true of {annotated:.0%}: {ask}"
            )
