"""Reasons by cause: what answers do when the surroundings are exchanged for those of others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fairvision import metrics
from fairvision.auditing.inputs import Inputs, Values, predicted
from fairvision.auditing.tables import Samples
from fairvision.metrics.causes import reason_codes
from fairvision.results.figures import Computed, Key

Rows = npt.NDArray[np.int64]


def column(model: Samples, kind: str, attribute: str) -> Values | None:
    """Return the column `kind/attribute` of a model, (n,); None where nothing in it is defined."""
    name = f"{kind}/{attribute}"
    if name not in model.scores:
        return None
    values = model.scores[[name]].to_numpy(np.float64)[:, 0]
    return None if np.isnan(values).all() else values


def elsewhere(model: Samples, attribute: str) -> Values | None:
    """Return the share of an image's swaps that are answered right, (n,); NaN where undefined.

    It is the larger of the shares with surroundings of its own group and of other groups: who is
    taken for another group in the places of that one may be recognised in those of their own.
    Tables that do not hold it say as much by `holds` where there are two groups: a wrong answer
    that does not stay is right. Of more groups nothing is known then: None.
    """
    shares = [column(model, kind, attribute) for kind in ("swapped_right", "same_swapped_right")]
    defined = [share for share in shares if share is not None]
    if defined:
        return np.fmax(defined[0], defined[-1])
    holds = column(model, "holds", attribute)
    return None if holds is None or len(model.truth.attributes[attribute]) != 2 else 1 - holds


def causes(model: Samples, attribute: str) -> tuple[Values, Values, Values] | None:
    """Return what `fairvision.metrics.reasons` takes: right, holds, elsewhere, each (n,).

    None where the surroundings were not exchanged, or the model does not predict the attribute.
    """
    predictions, holds = predicted(model, attribute), column(model, "holds", attribute)
    right_elsewhere = elsewhere(model, attribute)
    if predictions is None or holds is None or right_elsewhere is None:
        return None
    return metrics.correct(model.truth.codes(attribute), predictions), holds, right_elsewhere


def codes_by_cause(model: Samples, attribute: str) -> Rows:
    """Return each image's position in `REASONS`, (n,); -1 where no cause is known."""
    of_images = causes(model, attribute)
    return np.full(len(model.truth), -1) if of_images is None else reason_codes(*of_images)


def cause_figures(inputs: Inputs) -> Computed:
    """Yield what holds, what the surroundings decide, and the four reasons, by group."""
    model, attribute = inputs.samples, inputs.attribute
    codes = inputs.truth.codes(attribute)
    of_images = causes(model, attribute)
    if of_images is not None:
        right, holds, _ = of_images
        yield from inputs.by_group("holds", np.where(right == 1, holds, np.nan), gap="holds_gap")
        yield Key("reasons", attribute), metrics.reasons(*of_images, **inputs.sampling)
        for code, group in enumerate(inputs.truth.attributes[attribute]):
            of_group = metrics.reasons(*of_images, where=codes == code, **inputs.sampling)
            yield Key("reasons", attribute, "", group), of_group
    others, same = (
        column(model, kind, attribute) for kind in ("swapped_right", "same_swapped_right")
    )
    if others is not None:
        yield from inputs.by_group("swapped_accuracy", others)
    if same is not None:
        yield from inputs.by_group("same_swapped_accuracy", same)
    if others is not None and same is not None:
        yield from inputs.by_group("background_gap", same - others)
    pasted = predicted(model, attribute, "pasted")
    if pasted is not None:
        yield from inputs.by_group("pasted_accuracy", metrics.correct(codes, pasted))
    here = model.probabilities("others_here", attribute)
    if here is not None:
        belonging = here[np.arange(len(codes)), codes.clip(min=0)]
        yield from inputs.by_group("others_here", np.where(codes >= 0, belonging, np.nan))
