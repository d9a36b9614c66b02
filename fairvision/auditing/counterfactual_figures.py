"""Figures of consistency: answers that change when they should not, and that should and do not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision import metrics
from fairvision.auditing.inputs import Codes, Inputs, predicted
from fairvision.auditing.tables import Samples
from fairvision.datasets import Dataset
from fairvision.datasets.counterfactuals import CHANGED, ORIGINAL
from fairvision.results.figures import Computed, Key

Rows = npt.NDArray[np.bool_]

MEASURES = (metrics.counterfactual_flips, metrics.counterfactual_misses)


def counterfactual_figures(inputs: Inputs) -> Computed:
    """Yield flips and misses of an attribute, a task, or a task by the groups of an attribute.

    The group is that of the original. Each is of all pairs, and of each thing that was changed,
    which is the label of its rows. Tasks where many labels may hold have none.
    """
    made = inputs.samples.counterfactuals
    columns = None if made is None else _columns(inputs, made, inputs.task or inputs.attribute)
    if made is None or columns is None:
        return
    original = rows_of_originals(inputs.truth, made.truth)
    changed = made.truth.samples[CHANGED].to_numpy(object)
    things = {"": np.ones(len(changed), bool)} | {
        thing: changed == thing for thing in dict.fromkeys(changed)
    }
    sampling = inputs.sampling_of(original)
    truth, _, changed_truth, _ = columns
    complete, same = (truth >= 0) & (changed_truth >= 0), changed_truth == truth
    for measure, of_kind in zip(MEASURES, (complete & same, complete & ~same)):
        for group, of_group in _parts(inputs, original):
            for thing, of_thing in things.items():
                if (of_kind & of_thing).any():
                    key = Key(measure.__name__, inputs.attribute, inputs.task, group, thing)
                    pairs = of_group & of_thing
                    yield key, measure(*columns, originals=original, where=pairs, **sampling)


def _columns(inputs: Inputs, made: Samples, head: str) -> tuple[Codes, ...] | None:
    """Return truth and answer of each pair's original, then of its counterfactual, as codes.

    None where there are no answers, or many labels may hold.
    """
    answers, changed_answers = predicted(inputs.samples, head), predicted(made, head)
    if answers is None or changed_answers is None or inputs.truth.schema.is_many(head):
        return None
    row = rows_of_originals(inputs.truth, made.truth)
    return (
        inputs.truth.encoded(head)[row],
        answers[row],
        made.truth.encoded(head),
        changed_answers,
    )


def rows_of_originals(truth: Dataset, made: Dataset) -> npt.NDArray[np.int64]:
    """Return the row of each counterfactual's original among the audited images."""
    rows: npt.NDArray[np.int64] = pd.Index(truth.samples["id"]).get_indexer(
        pd.Index(made.samples[ORIGINAL])
    )
    return rows


def _parts(inputs: Inputs, original: npt.NDArray[np.int64]) -> Iterator[tuple[str, Rows]]:
    """Yield the pairs of all, with the group "", then those of each group.

    Of a task and an attribute only the latter: what is of all is a figure of the task.
    """
    if not (inputs.attribute and inputs.task):
        yield "", np.ones(len(original), bool)
    if inputs.attribute:
        codes = inputs.truth.codes(inputs.attribute)[original]
        for code, group in enumerate(inputs.truth.attributes[inputs.attribute]):
            yield group, codes == code
