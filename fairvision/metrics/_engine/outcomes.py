"""Groups of images, and the four counts by group, true and false, that every rate is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairvision.errors import InputError, warn_caller
from fairvision.metrics._engine.arrays import (
    Array,
    Bools,
    Columns,
    Floats,
    Ints,
    Labels,
    added,
    as_objects,
    mean_of_defined,
    ratio,
)
from fairvision.metrics._engine.bootstrap import Sample, Sampling
from fairvision.metrics._engine.inputs import read_groups, read_labels, to_numpy_or_pandas
from fairvision.metrics._engine.result import (
    OfShare,
    Result,
    pair_keys,
    summarise,
    the_share,
)
from fairvision.metrics._engine.rows import Rows
from fairvision.schema import UNKNOWN

Groups = ArrayLike | pd.DataFrame | Mapping[Any, ArrayLike] | None

SMALL = 10  # images, below which a figure says little
_NAMED = 3  # small groups that a warning names

_DENSE = 1 << 14  # numbers in a matrix that need no sparse one
_NOWHERE = -2  # the place of a label that does not occur; unknown labels are −1
_TEXTS = {"0", "1", "0.0", "1.0", "False", "True", "false", "true", "FALSE", "TRUE"}
_NOISE = 1e-9  # of the weight of a group: what is left where floats should have cancelled


@dataclass(frozen=True, eq=False)
class Grouping:
    """Which group each unit is of.

    Attributes
    ----------
    names : of the groups, last "unknown" where there is an image of it; () without groups
    code : (units,) position in `names`, 0 without groups
    attributes : whose values the names are; with several, names are tuples
    """

    names: tuple[Any, ...]
    code: Ints
    attributes: tuple[Any, ...] = ()

    @property
    def size(self) -> int:
        """Number of groups, 1 without groups."""
        return len(self.names) if self.attributes else 1

    def keys(self, labels: Sequence[Any] | None) -> dict[str, Array] | None:
        """Return the key columns of the groups, or of all pairs of group and label."""
        if labels is None:
            return {"group": as_objects(self.names)} if self.attributes else None
        return pair_keys(self.names, labels) if self.attributes else {"label": as_objects(labels)}


def group_columns(groups: Groups) -> Columns:
    """Return the columns of groups, one for each attribute, named as `Rows` shall name them."""
    groups = by_attribute(groups)
    if groups is None:
        return {}
    if not isinstance(groups, (Mapping, pd.DataFrame)):
        return {"groups": groups}
    if isinstance(groups, pd.DataFrame) and not groups.columns.is_unique:
        raise InputError("groups have two columns of the same name")
    columns = {f"groups[{attribute!r}]": column for attribute, column in groups.items()}
    if not columns:
        raise InputError("groups hold no attribute")
    return columns


def by_attribute(groups: Groups) -> Groups:
    """Return a table of images × attributes, without names, by the position of its columns."""
    if isinstance(groups, (list, tuple)) and any(np.ndim(of) == 1 for of in groups[:1]):
        raise InputError("groups must be one per image; give several attributes as {name: groups}")
    if isinstance(groups, (Mapping, pd.DataFrame)) or getattr(groups, "ndim", 1) != 2:
        return groups
    table = np.asarray(to_numpy_or_pandas(groups))
    return {at: table[:, at] for at in range(table.shape[1])}


def read_grouping(groups: Groups, rows: Rows, keep: Bools) -> Grouping:
    """Return the groups of units; "unknown" is listed where a unit in `keep` has no known group."""
    groups = by_attribute(groups)
    columns = group_columns(groups)
    if not columns:
        return Grouping((), np.zeros(len(keep), int))
    several = isinstance(groups, (Mapping, pd.DataFrame))
    attributes = tuple(groups) if several else ("group",)  # type: ignore[arg-type]
    read = {arg: read_groups(**{arg: rows[arg]}) for arg in columns}
    if len(columns) == 1:
        ((of_attribute, codes),) = read.values()
        (code,) = codes.values()
        names = tuple(of_attribute)
    else:
        declared = all(
            isinstance(getattr(rows[arg], "dtype", None), pd.CategoricalDtype) for arg in columns
        )
        names, code = _intersections(read, declared)
    if (keep & (code < 0)).any():
        names = (*names, UNKNOWN)
    return Grouping(names, np.where(code < 0, len(names) - 1, code), attributes)


def warn_of_small(pairs: Mapping[str, Mapping[str, Any] | None]) -> None:
    """Warn of known groups with few images, given the keys and n of each measure's pairs."""
    small = []
    for measure, columns in pairs.items():
        if columns is None or "group" not in columns:
            continue
        for row in np.flatnonzero(columns["n"] < SMALL):
            if columns["group"][row] != UNKNOWN:
                label = f", label {columns['label'][row]}" if "label" in columns else ""
                group = columns["group"][row]
                group = " × ".join(map(str, group)) if isinstance(group, tuple) else group
                small.append(f"{measure} of {group}{label} on {columns['n'][row]}")
    if small:
        more = f"; and {len(small) - _NAMED} more" if len(small) > _NAMED else ""
        warn_caller(
            f"figures that rest on fewer than {SMALL} images: {'; '.join(small[:_NAMED])}{more}"
        )


def _intersections(
    read: Mapping[str, tuple[list[Any], dict[str, Ints]]], declared: bool
) -> tuple[tuple[Any, ...], Ints]:
    """Return the groups that several attributes make together, and the one of each unit."""
    names = [of_attribute for of_attribute, _ in read.values()]
    codes = [next(iter(code.values())) for _, code in read.values()]
    has_group = np.logical_and.reduce([code >= 0 for code in codes])
    sizes = [max(1, len(of_attribute)) for of_attribute in names]
    together = np.ravel_multi_index([np.where(has_group, code, 0) for code in codes], sizes)
    if declared:
        groups = tuple(product(*names))
        return groups, np.where(has_group, together, -1)
    listed, place = np.unique(together[has_group], return_inverse=True)
    parts = np.unravel_index(listed, sizes)
    groups = tuple(tuple(of[i] for of, i in zip(names, at)) for at in zip(*parts))
    code = np.full(len(has_group), -1)
    code[has_group] = place
    return groups, code


@dataclass(frozen=True)
class Rate:
    """A mean of ratios of outcomes, each given by how often it counts: (TP, FP, FN, TN).

    `of_share` maps shares of the images in denominators to it, where all are 0 or all 1.
    """

    ratios: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    of_share: OfShare = the_share

    def images(self, outcomes: Array) -> Array:
        """Return how many of the outcomes (4, ...) stand in a denominator."""
        used = np.any([np.greater(below, 0) for _, below in self.ratios], axis=0)
        images: Array = outcomes[used].sum(axis=0)
        return images

    def in_each(self, outcomes: Array) -> Array:
        """Return how many of the outcomes (4, ...) stand in each denominator, (ratios, ...)."""
        return np.stack([outcomes[np.greater(below, 0)].sum(axis=0) for _, below in self.ratios])


def evaluate_rates(rates: Sequence[Rate], outcomes: Array) -> Floats:
    """Return rates of outcomes (4, ...), as (rates, ...)."""
    counts = outcomes.reshape(4, -1)
    above, below = (
        np.array([part[side] for rate in rates for part in rate.ratios], float) @ counts
        for side in (0, 1)
    )
    parts = ratio(above, below)
    sizes = np.array([len(rate.ratios) for rate in rates])
    if (sizes > 1).any():
        parts = np.add.reduceat(parts, np.cumsum(sizes) - sizes) / sizes[:, None]
    return parts.reshape(len(rates), *outcomes.shape[1:])


def _f1_of_share(share: Floats) -> Floats:
    """Return F1 of the share of true positives among all images but the true negatives."""
    f1: Floats = 2 * share / (1 + share)
    return f1


_TRUE, _FALSE, _ALL = (1, 0, 1, 0), (0, 1, 0, 1), (1, 1, 1, 1)
RATES = {
    "selection_rate": Rate((((1, 1, 0, 0), _ALL),)),
    "true_positive_rate": Rate((((1, 0, 0, 0), _TRUE),)),
    "false_positive_rate": Rate((((0, 1, 0, 0), _FALSE),)),
    "true_negative_rate": Rate((((0, 0, 0, 1), _FALSE),)),
    "false_negative_rate": Rate((((0, 0, 1, 0), _TRUE),)),
    "precision": Rate((((1, 0, 0, 0), (1, 1, 0, 0)),)),
    "false_discovery_rate": Rate((((0, 1, 0, 0), (1, 1, 0, 0)),)),
    "negative_predictive_value": Rate((((0, 0, 0, 1), (0, 0, 1, 1)),)),
    "false_omission_rate": Rate((((0, 0, 1, 0), (0, 0, 1, 1)),)),
    "accuracy": Rate((((1, 0, 0, 1), _ALL),)),
    "error_rate": Rate((((0, 1, 1, 0), _ALL),)),
    "balanced_accuracy": Rate((((1, 0, 0, 0), _TRUE), ((0, 0, 0, 1), _FALSE))),
    "f1_score": Rate((((2, 0, 0, 0), (2, 1, 1, 0)),), _f1_of_share),
}
# Where an image has one label out of several, it is right or wrong once and not once per label.
_OF_CLASSES = {
    "accuracy": RATES["true_positive_rate"],
    "error_rate": RATES["false_negative_rate"],
    "balanced_accuracy": RATES["true_positive_rate"],
}
_POOLED = ("accuracy", "error_rate")  # over classes: no figure for each


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What truth and prediction are together, for each label.

    Attributes
    ----------
    sample : Sample
    grouping : Grouping
    labels : names, or None where one label is "positive"
    held : where each label is a true positive, a false positive, a false negative
    keep : (units,) bool, those that take part
    """

    sample: Sample
    grouping: Grouping
    labels: list[Any] | None
    held: tuple[Labels, Labels, Labels]
    keep: Bools

    def figures(self, measures: Sequence[str], weights: Array) -> Floats:
        """Return rates one after the other, each (1 + pairs, b): of all images, then of pairs."""
        counts = self.count(weights)
        outcomes = np.concatenate([counts.sum(axis=1, keepdims=True), counts], axis=1)
        rates: dict[str, Floats] = {}
        for pooled in (False, True):
            chosen = [measure for measure in measures if self._rate_of(measure)[1] == pooled]
            if chosen:
                of = outcomes.sum(axis=2, keepdims=True) if pooled else outcomes
                rates |= zip(
                    chosen, evaluate_rates([self._rate_of(measure)[0] for measure in chosen], of)
                )
        return np.concatenate(
            [self._value_and_pairs(measure, rates[measure]) for measure in measures]
        )

    def estimates(self, measures: Sequence[str]) -> list[Floats]:
        """Return the estimates of rates, (1 + pairs, 1 + replicates) each, in one pass."""
        together = self.sample.estimate(partial(self.figures, measures), whole=True)
        pairs = [self.pairs(measure) for measure in measures]
        ends = np.cumsum([1 if columns is None else 1 + len(columns["n"]) for columns in pairs])
        return np.split(together, ends[:-1])

    def result(self, measure: str, estimates: Floats | None = None) -> Result:
        """Return a rate of all images, with its pairs."""
        rate, _ = self._rate_of(measure)
        pairs = self.pairs(measure)
        whole = replace(self, grouping=Grouping((), np.zeros_like(self.grouping.code)))
        return summarise(
            self.sample,
            partial(self.figures, [measure]),
            self._image_count(rate),
            measure,
            pairs=pairs,
            shares=self._denominators(measure),
            of_share=rate.of_share,
            whole=True,
            estimates=estimates,
            overall=lambda: whole.result(measure),
        )

    def _denominators(self, measure: str) -> Floats:
        """Return how many images value and pairs of a rate are shares of, (1 + pairs,).

        A mean over labels, or of two rates, is no share of all images: it counts as one of those
        with fewest.
        """
        rate, pooled = self._rate_of(measure)

        def images(weights: Array) -> Floats:
            counts = self.count(weights)
            counts = counts.sum(axis=2, keepdims=True) if pooled else counts
            whole = np.concatenate([counts.sum(axis=1, keepdims=True), counts], axis=1)
            return rate.in_each(whole).reshape(-1, weights.shape[1])

        labels = 1 if pooled else self._shape[1]
        numbers = self.sample.effective(images).reshape(len(rate.ratios), -1).min(axis=0)
        of_labels, pairs = np.split(numbers, [labels])
        value = of_labels[of_labels > 0].min(initial=np.inf)
        keyed = 0 if (keys := self.pairs(measure)) is None else len(keys["n"])
        return np.append(value, pairs[:keyed])

    def pairs(self, measure: str) -> dict[str, Array] | None:
        """Return the keys and n of the pairs of a rate, if it has any."""
        rate, pooled = self._rate_of(measure)
        keys = self.grouping.keys(None if pooled else self.labels)
        if keys is None:
            return None
        counts = self._counts.sum(axis=2) if pooled else self._counts
        return {**keys, "n": rate.images(counts).ravel()}

    def _value_and_pairs(self, measure: str, figures: Floats) -> Floats:
        """Return figures (1 + groups, labels, b), those of all images first, as value and pairs."""
        by_label = figures[0]
        overall = by_label if len(by_label) == 1 else mean_of_defined(by_label)[None]
        if self.grouping.attributes:
            return np.concatenate([overall, figures[1:].reshape(-1, figures.shape[-1])])
        alone = self.labels is None or self._rate_of(measure)[1]
        return overall if alone else np.concatenate([overall, by_label])

    def _rate_of(self, measure: str) -> tuple[Rate, bool]:
        """Return how a measure is made of the outcomes, and whether labels are pooled first."""
        if self.labels is None or self.held[0].many or measure not in _OF_CLASSES:
            return RATES[measure], False
        return _OF_CLASSES[measure], measure in _POOLED

    def _image_count(self, rate: Rate) -> int:
        """Return how many images are in the denominator for any label."""
        held = [np.bincount(held.row, minlength=len(self.keep)) for held in self.held]
        of_unit = np.stack([*held, self._shape[1] - sum(held)])
        return int(self.sample.counts[self.keep & (rate.images(of_unit) > 0)].sum())

    @property
    def _shape(self) -> tuple[int, int]:
        """Numbers of groups and labels."""
        return self.grouping.size, 1 if self.labels is None else len(self.labels)

    @cached_property
    def _counts(self) -> Ints:
        """Images of each outcome, (4, groups, labels)."""
        return np.rint(self.count(self.sample.counts[:, None])[..., 0]).astype(np.int64)

    @cached_property
    def _sums(self) -> list[Any]:
        """Matrices that add up units: of each outcome held by group and label, of all by group."""
        everything = Labels(np.zeros(len(self.keep), int), self.keep)
        groups, labels = self._shape
        indicators = [self._indicator(held, (groups, labels)) for held in self.held]
        return [*indicators, self._indicator(everything, (groups, 1))]

    def _indicator(self, held: Labels, shape: tuple[int, int]) -> Any:
        """Return the matrix that adds up units by group and label; small ones are dense."""
        code = self.grouping.code
        if shape[0] * shape[1] * len(code) > _DENSE:
            return held.indicator(code, shape, self.keep)
        row, label = (places[self.keep[held.row]] for places in held.places)
        matrix = np.zeros((shape[0] * shape[1], len(code)))
        matrix[code[row] * shape[1] + label, row] = 1
        return matrix

    def count(self, weights: Array) -> Floats:
        """Return weighted counts of the outcomes, (4, groups, labels, b)."""
        *sums, members = [added(matrix, weights) for matrix in self._sums]
        held = np.reshape(sums, (3, *self._shape, weights.shape[1]))
        everything = members[:, None]
        rest = everything - held.sum(axis=0)
        if self.sample.weight is not None:  # none of them is 0, whatever fractions leave
            rest = np.where(rest < _NOISE * everything, 0, rest)
        return np.concatenate([held, rest[None]])


@dataclass(frozen=True, eq=False)
class Decisions:
    """The arguments that all rates share; see `selection_rate`."""

    truth: ArrayLike | None
    predicted: ArrayLike
    groups: Groups
    positive: Any
    where: ArrayLike | None
    sampling: Sampling


def read_outcomes(measures: Sequence[str], given: Decisions) -> Outcomes:
    """Read the outcomes that rates are made of, and warn of small groups."""
    blind = [measure for measure in measures if measure != "selection_rate"]
    outcomes = outcomes_of(given, blind[0] if blind else None)
    warn_of_small({measure: outcomes.pairs(measure) for measure in measures})
    return outcomes


def outcomes_of(given: Decisions, judged_by: str | None) -> Outcomes:
    """Read outcomes, for a measure that needs truth; for None all predictions count as true."""
    columns = {"truth": given.truth, "predicted": given.predicted, "where": given.where}
    rows = Rows({**columns, **group_columns(given.groups)}, given.sampling)
    if "predicted" not in rows:
        raise InputError("predicted must hold the decisions of the model, one per image")
    if judged_by and "truth" not in rows:
        raise InputError(f"{judged_by} needs truth; only the selection rate does without")
    names, read = read_labels(truth=rows.get("truth"), predicted=rows["predicted"])
    guess = read["predicted"]
    true = read.get("truth", guess) if judged_by else guess
    keep = true.valid & guess.valid & rows.mask
    place: int | None = None
    if given.positive is not None:
        place = _place_of_positive(given.positive, names, guess.many)
    elif not guess.many and set(names) <= {0, 1}:
        place = names.index(1) if 1 in names else _NOWHERE
    elif not guess.many and 0 < len(names) <= 2 and set(names) <= _TEXTS:
        warn_caller(
            f"labels are the texts {' and '.join(map(repr, names))}, so each in turn is positive: "
            f"give numbers, or positive={names[-1]!r}"
        )
    labels: list[Any] | None = names
    if place is not None:
        true, guess, labels = _single_label(true, place), _single_label(guess, place), None
    grouping, held = read_grouping(given.groups, rows, keep), _true_and_false_positives(true, guess)
    return Outcomes(rows.sample, grouping, labels, held, keep)


def _place_of_positive(positive: Any, names: list[Any], many: bool) -> int:
    """Return where the positive label is among the names; of single labels it may be nowhere."""
    if any(isinstance(name, str) != isinstance(positive, str) for name in names):
        kind = "numbers" if isinstance(positive, str) else "names"
        raise InputError(f"positive is {positive!r}, but the labels are {kind}")
    if positive in names:
        return names.index(positive)
    if many:
        raise InputError(f"positive is {positive!r}, but no column of the labels is called so")
    if names and not {*names, positive} <= {0, 1}:
        warn_caller(f"no image has, and none is predicted, the label {positive!r}")
    return _NOWHERE


def _single_label(labels: Labels, place: int) -> Labels:
    """Return the labels with one of them alone."""
    if labels.many:
        return Labels(labels.held[:, [place]], labels.valid)
    return Labels(np.where(labels.held == place, 0, -1), labels.valid)


def _true_and_false_positives(true: Labels, guess: Labels) -> tuple[Labels, Labels, Labels]:
    """Return true positives, false positives and false negatives."""
    if true.many:
        both = true.held & guess.held
        held = both, guess.held & ~both, true.held & ~both
    else:
        same = true.held == guess.held
        held = (
            np.where(same, guess.held, -1),
            np.where(same, -1, guess.held),
            np.where(same, -1, true.held),
        )
    valid = true.valid & guess.valid
    return Labels(held[0], valid), Labels(held[1], valid), Labels(held[2], valid)
