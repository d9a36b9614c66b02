"""Scores beside the truth, in every form in which truth is given: for all measures of scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import Array, Bools, Floats, mean_of_defined, ratio
from fairvision.metrics._engine.bootstrap import Sample, Sampling
from fairvision.metrics._engine.inputs import (
    check_rows,
    common_columns,
    is_table,
    read_indicators,
    read_labels,
    read_scores,
)
from fairvision.metrics._engine.outcomes import Groups, group_columns, read_grouping, warn_of_small
from fairvision.metrics._engine.result import OfShare, Result, summarise, the_share
from fairvision.metrics._engine.rows import Rows


@dataclass(frozen=True, eq=False)
class Scored:
    """Which labels hold, and the score of each.

    Attributes
    ----------
    held : (rows, labels) bool
    scores : (rows, labels) floats
    valid : (rows,) bool, where neither truth nor a score is unknown
    names : of the labels; positions where they have none
    classes : whether truth holds one label per row, and scores a column for each
    """

    held: Bools
    scores: Floats
    valid: Bools
    names: list[Any]
    classes: bool

    def one_column(self, held: Bools, scores: Floats) -> Scored:
        """Return one figure of each row, (rows, 1), in place of those of all labels."""
        return replace(self, held=held, scores=scores, names=[0])


def read_scored(
    arg: str, truth: ArrayLike, scores: ArrayLike, labels: Sequence[Any] | None = None
) -> Scored:
    """Read truth, called `arg`, and scores.

    Truth is 0 and 1 for one column of scores; a name or code per row for a column per class; or a
    table of 0 and 1. `labels` name the columns.
    """
    table, columns = read_scores("scores", scores)
    names = columns if labels is None else list(labels)
    if table.shape[1] != len(names):
        raise InputError(f"scores has {table.shape[1]} columns, and {len(names)} labels are named")
    if is_table(arg, truth):
        held, valid, labels_of_truth = read_indicators(arg, truth)
        check_rows(**{arg: held, "scores": table})
        common = common_columns({arg: labels_of_truth, "scores": columns})
        return _scored(held, table, valid, common if labels is None else names, False)
    occurring, read = read_labels(**{arg: truth})
    true = read[arg]
    check_rows(**{arg: true.valid, "scores": table})
    if table.shape[1] == 1:
        if not set(occurring) <= {0, 1}:
            raise InputError(f"with one column of scores, {arg} must hold 0 and 1 (-1: unknown)")
        place = occurring.index(1) if 1 in occurring else -2
        return _scored((true.held == place)[:, None], table, true.valid, names, False)
    called = names if any(isinstance(name, str) for name in occurring) else columns
    absent = [name for name in occurring if name not in called]
    if absent:
        raise InputError(
            f"scores have no column for the label {shown(absent[0])}: give a DataFrame with the "
            f"labels as columns, or {arg} as the number of the column"
        )
    column = np.array([*(called.index(name) for name in occurring), -1])[true.held]
    held = column[:, None] == np.arange(len(names))
    return _scored(held, table, true.valid, names, True)


def read_rows(
    arg: str,
    truth: ArrayLike,
    scores: ArrayLike,
    groups: Groups,
    sampling: Sampling,
    labels: Sequence[Any] | None = None,
) -> tuple[Rows, Scored]:
    """Return rows with truth, called `arg`, scores and groups, and what truth and scores say."""
    rows = Rows({arg: truth, "scores": scores, **group_columns(groups)}, sampling)
    return rows, read_scored(arg, rows[arg], rows["scores"], labels)


def _scored(held: Bools, table: Floats, valid: Bools, names: list[Any], classes: bool) -> Scored:
    """Return the scores, valid where neither truth nor a score is unknown."""
    return Scored(held, table, valid & ~np.isnan(table).any(axis=1), names, classes)


OfLabel = Callable[[Bools, Floats, Bools], Callable[[Array], Floats]]
Average = Literal["macro", "micro", "weighted"]


@dataclass(frozen=True, eq=False)
class Images:
    """How much images say.

    Attributes
    ----------
    sample : Sample
    """

    sample: Sample

    def effective(self, members: Array) -> Floats:
        """Return how many images sets of these, (sets, units), say as much as."""
        return self.sample.effective(lambda weights: members.astype(float) @ weights)

    def weight(self, members: Array) -> Floats:
        """Return what sets of images, (sets, units), weigh."""
        weight: Floats = (members.astype(float) @ self.sample.base)[..., 0]
        return weight


Shares = Callable[[Bools, Bools, Images], float]


def figures_of_labels(
    name: str,
    rows: Rows,
    read: Scored,
    groups: Groups,
    of_label: OfLabel,
    adjust: Callable[[Floats], Floats] | None = None,
    average: Average = "macro",
    shares: Shares | None = None,
    of_share: OfShare = the_share,
    sample: Sample | None = None,
) -> Result:
    """Return a figure over labels, with that of each label, of all or of each group.

    Parameters
    ----------
    name : of the measure
    rows, read, groups : the images
    of_label : maps where a label holds, its scores, (units,) each or of all labels together
        (units, labels), and which images take part, to the figure as a function of weights
        (units, b) → (b,)
    adjust : what is done to estimates
    average : the mean over labels, or over labels by how often they hold, or the figure of all
        decisions together; with the latter two, groups have one figure each
    shares : of figures in [0, 1], maps where a label holds, (units,) or of all labels together
        (units, labels), and which images take part, to the number of independent images or pairs of
        which 0 and 1 are shares
    of_share : maps such shares to figures, which rise with them
    sample : of whose units figures are functions, if not that of `rows`; see `Blocks`
    """
    sample = rows.sample if sample is None else sample
    holds, table, valid, names = read.held, read.scores, read.valid, read.names
    grouping = read_grouping(groups, rows, valid)
    sets = [valid]
    if grouping.attributes:
        sets += [valid & (grouping.code == code) for code in range(grouping.size)]
    columns = [(holds, table)] if average == "micro" else list(zip(holds.T, table.T))
    of_sets = [[of_label(hold, score, images) for hold, score in columns] for images in sets]

    def over_labels(values: Floats, images: Bools, weights: Array) -> Floats:
        if average != "weighted":
            return mean_of_defined(values)
        often = (holds & images[:, None]).astype(float).T @ weights * ~np.isnan(values)
        return ratio((np.nan_to_num(values) * often).sum(axis=0), often.sum(axis=0))

    whole = average != "macro"  # which asks for weights of the units of rows
    one_each = grouping.attributes and (whole or len(names) == 1)
    without = not grouping.attributes and average == "micro"

    def statistic(weights: Array) -> Floats:
        shape = len(columns), weights.shape[1]
        first, *others = [np.reshape([one(weights) for one in each], shape) for each in of_sets]
        value = over_labels(first, valid, weights)
        if grouping.attributes and whole:
            others = [over_labels(of, images, weights) for of, images in zip(others, sets[1:])]
        elif not grouping.attributes:
            others = [] if without else [first]
        return np.vstack([value, *others])

    keys = grouping.keys(None if one_each else names) or {}
    each_n = [rows.count(images) for images in sets[bool(grouping.attributes) :]]
    pairs = {**keys, "n": np.repeat(each_n, 1 if one_each else len(names))}
    warn_of_small({name: pairs})
    numbers = None
    if shares is not None:
        each = [
            _at_the_edge(of, columns, images, (rows.sample, sample), shares)
            for of, images in zip(of_sets, sets)
        ]
        of_pairs = [] if without else each[bool(grouping.attributes) :]
        if grouping.attributes and whole:
            of_pairs = [[min(of_group)] for of_group in of_pairs]
        numbers = np.array([min(each[0]), *chain(*of_pairs)])
    return summarise(
        sample,
        statistic,
        rows.count(valid),
        name,
        pairs=None if without else pairs,
        shares=numbers,
        of_share=of_share,
        adjust=adjust,
        overall=lambda: figures_of_labels(
            *(name, rows, read, None, of_label, adjust, average, shares, of_share, sample)
        ),
    )


def _at_the_edge(
    figures: Sequence[Callable[[Array], Floats]],
    columns: Sequence[tuple[Bools, Floats]],
    images: Bools,
    samples: tuple[Sample, Sample],
    shares: Shares,
) -> list[float]:
    """Return of each figure that is 0 or 1 of what it is a share; infinity of others.

    `samples` are that of images and that of which figures are functions.
    """
    of_images, drawn = samples
    return [
        shares(holds, images, Images(of_images))
        if abs(of(drawn.base)[0] - 0.5) >= _EDGE
        else np.inf
        for of, (holds, _) in zip(figures, columns)
    ]


def centre_replicates(estimates: Floats, ends: tuple[float, float] = (0, 1)) -> Floats:
    """Shift replicates (…, 1 + replicates) so that their mean is the value, between `ends`.

    Resamples repeat rows, and a rare label that is drawn twice is found with twice the precision:
    without the shift the interval of rare labels lies above the value.
    """
    value, replicates = estimates[..., :1], estimates[..., 1:]
    if not replicates.shape[-1]:
        return estimates
    defined = np.isfinite(replicates)
    mean = ratio(
        np.where(defined, replicates, 0).sum(axis=-1, keepdims=True),
        defined.sum(axis=-1, keepdims=True),
    )
    return np.concatenate([value, np.clip(replicates + (value - mean), *ends)], axis=-1)


_EDGE = 0.5 - 1e-9  # how far 0 and 1 are from 1/2, but for rounding
_ROUNDING = 1e-6  # of scores that came from float32


def check_probabilities(table: Floats) -> None:
    """Raise unless scores lie between 0 and 1."""
    if (np.abs(table[~np.isnan(table).any(axis=1)] - 0.5) > 0.5 + _ROUNDING).any():
        raise InputError("scores must be probabilities, between 0 and 1")


def mean_of_scores(_: Bools, scores: Floats, valid: Bools) -> Callable[[Array], Floats]:
    """Return the mean of scores as a function of weights (n, b) → (b,): an `OfLabel`."""
    (image,) = np.nonzero(valid)
    score = scores[image].reshape(len(image), -1).mean(axis=1) if len(image) else np.empty(0)

    def of_weights(weights: Array) -> Floats:
        drawn = weights[image]
        return ratio(score @ drawn, drawn.sum(axis=0))

    return of_weights


def images_alone(_: Bools, images: Bools, of: Images) -> float:
    """Return how many images a mean of values in [0, 1] is of: `Shares`.

    With mean μ a value is 1 with a probability of at most μ, so the exact interval of shares holds.
    """
    return float(of.effective(images[None])[0])
