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


def swapped_right(model: Samples, attribute: str) -> Values | None:
    """Return the share of an image's swaps with other groups answered right, (n,); or None.

    Tables that do not hold it say as much by `holds` where there are two groups: a right answer is
    right where it stays, a wrong one where it does not.
    """
    values, holds = column(model, "swapped_right", attribute), column(model, "holds", attribute)
    predictions = predicted(model, attribute)
    two = len(model.truth.attributes[attribute]) == 2
    if values is not None or holds is None or predictions is None or not two:
        return values
    right = metrics.correct(model.truth.codes(attribute), predictions)
    return np.where(right == 1, holds, np.where(right == 0, 1 - holds, np.nan))


def elsewhere(model: Samples, attribute: str) -> Values | None:
    """Return the share of an image's swaps that are answered right, (n,); NaN where undefined.

    It is the larger of the shares with surroundings of its own group and of other groups: who is
    taken for another group in the places of that one may be recognised in those of their own.
    None where nothing in either is defined.
    """
    shares = swapped_right(model, attribute), column(model, "same_swapped_right", attribute)
    defined = [share for share in shares if share is not None]
    return np.fmax(defined[0], defined[-1]) if defined else None


def causes(model: Samples, attribute: str) -> tuple[Values, Values, Values] | None:
    """Return what `fairvision.metrics.reasons` takes: right, holds, elsewhere, each (n,).

    Where one of the last two is undefined so is the other: an image takes part however it was
    answered. None where the surroundings were not exchanged, or the model does not predict the
    attribute.
    """
    predictions, holds = predicted(model, attribute), column(model, "holds", attribute)
    right_elsewhere = elsewhere(model, attribute)
    if predictions is None or holds is None or right_elsewhere is None:
        return None
    right = metrics.correct(model.truth.codes(attribute), predictions)
    undefined = np.isnan(holds) | np.isnan(right_elsewhere)
    holds, right_elsewhere = (np.where(undefined, np.nan, v) for v in (holds, right_elsewhere))
    return right, holds, right_elsewhere


def codes_by_cause(model: Samples, attribute: str) -> Rows:
    """Return each image's position in `REASONS`, (n,); -1 where no cause is known."""
    of_images = causes(model, attribute)
    return np.full(len(model.truth), -1) if of_images is None else reason_codes(*of_images)


def cause_figures(inputs: Inputs) -> Computed:
    """Yield what holds, what the surroundings decide, and the four reasons, by group."""
    model, attribute = inputs.samples, inputs.attribute
    codes = inputs.truth.codes(attribute)
    predictions, holds = predicted(model, attribute), column(model, "holds", attribute)
    if predictions is not None and holds is not None:
        of_right = np.where(metrics.correct(codes, predictions) == 1, holds, np.nan)
        yield from inputs.by_group("holds", of_right, gap="holds_gap")
    of_images = causes(model, attribute)
    if of_images is not None:
        yield Key("reasons", attribute), metrics.reasons(*of_images, **inputs.sampling)
        for code, group in enumerate(inputs.truth.attributes[attribute]):
            of_group = metrics.reasons(*of_images, where=codes == code, **inputs.sampling)
            yield Key("reasons", attribute, "", group), of_group
    others = swapped_right(model, attribute)
    same = column(model, "same_swapped_right", attribute)
    if others is not None:
        yield from inputs.by_group("swapped_accuracy", others)
        recall = metrics.mean_of_groups(inputs.means(others))
        yield Key("swapped_recall", attribute), recall
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
