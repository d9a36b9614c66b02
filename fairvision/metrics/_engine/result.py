"""What a measure returns: the figure, its interval, its count, and the pairs behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from html import escape
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from fairvision.errors import InputError
from fairvision.metrics._engine.arrays import Array, Floats, Ints, as_objects
from fairvision.metrics._engine.bootstrap import Sample, Statistic
from fairvision.metrics._engine.joint import stretched, widening

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KEYS = ["group", "label", "direction"]
UNDIRECTED = "undirected"  # as the `direction` of measures that have none
_NONE = np.empty(0)
_NOISE = 1e-9  # of a weighted share
_ROUNDING = 1e-12  # of a figure of a share
_MOST_ROWS = 40  # of a table in a notebook


@dataclass(frozen=True, eq=False, repr=False)
class Result(float):
    """A figure with its bootstrap interval and the number of images behind it.

    It is a float: it can be added, compared, rounded, put into arrays and tables, and returned to
    fairlearn's `MetricFrame`. Images are drawn again with replacement `replicates` times; the
    interval runs between the percentiles (1 ± confidence) / 2 of the replicates in which the figure
    is defined, or those that BCa takes instead. It is NaN where the figure is undefined, or defined
    in fewer than half of them, or rests on one image. A share of images that is exactly 0 or 1 has
    the exact interval of Clopper and Pearson (1934), also of one image: the bootstrap cannot draw
    what it has not seen.
    With unequal weights it is that of as many images as Kish's effective sample size,
    (Σ w)² / Σ w².

    Attributes
    ----------
    value, low, high : float
        The figure and the ends of its interval; NaN where undefined.
    n : int
        Images that the figure rests on: neither unknown nor undefined.
    replicates : (replicates,) ndarray
        The figure in each resample; may hold NaN.
    pairs : DataFrame or None
        The figures it is made of, with columns `group`, `label` (where they apply), `value`, `low`,
        `high`, `n`, and for directed measures `direction`.
    name : str
        The measure.

    Examples
    --------
    >>> from fairvision import metrics
    >>> result = metrics.accuracy([1, 1, 0, 0], [1, 1, 0, 1])
    >>> float(result), result.n, result > 0.7
    (0.75, 4, True)
    """

    value: float
    low: float = np.nan
    high: float = np.nan
    n: int = 0
    replicates: Floats = field(default_factory=lambda: _NONE)
    pairs: pd.DataFrame | None = None
    name: str = ""
    _recipe: Recipe | None = field(default=None, kw_only=True)

    def __new__(cls, value: float, *_: Any, **__: Any) -> Result:
        return super().__new__(cls, value)

    def __reduce__(self) -> tuple[Any, ...]:
        # How it was made stays behind: functions cannot be written down.
        kept = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "_recipe"}
        return _restored, (type(self), kept)

    def __repr__(self) -> str:
        name = f"{self.name} = " if self.name else ""
        return f"{name}{self.value:.4g} [{self.low:.4g}, {self.high:.4g}] (n = {self.n})"

    def _repr_html_(self) -> str:
        """Return the figure, its interval and its pairs as HTML, for notebooks."""
        numbers = f"({self.low:.4g} to {self.high:.4g}, n = {self.n})"
        of_all = f"<p>{escape(self.name)} <b>{self.value:.4g}</b> <small>{numbers}</small></p>"
        if self.pairs is None:
            return of_all
        table = self.pairs.round(4).to_html(index=False, na_rep="–", max_rows=_MOST_ROWS)
        return of_all + table

    def plot(self, ax: Axes | None = None, *, most: int = 40) -> Axes:
        """Draw the figure and its pairs with their intervals.

        Parameters
        ----------
        ax : where to draw; by default a new figure of matplotlib
        most : of more pairs than this, those that rest on most images are drawn

        Returns
        -------
        matplotlib.axes.Axes

        Examples
        --------
        >>> from fairvision import metrics
        >>> truth, predicted = ["f"] * 20 + ["m"] * 20, ["f"] * 38 + ["m"] * 2
        >>> ax = metrics.accuracy(truth, predicted, list("ab") * 20).plot()
        >>> [label.get_text() for label in ax.get_yticklabels()]
        ['all (n = 40)', 'a (n = 20)', 'b (n = 20)']
        """
        from fairvision.metrics._engine.plots import draw

        if most < 0:
            raise InputError(f"most must be 0 or more, not {most}")
        whole = {name: getattr(self, name) for name in ("value", "low", "high", "n")}
        return draw(self.name, whole, self.pairs, ax, most)


def _restored(kind: type[Result], kept: Mapping[str, Any]) -> Result:
    """Make a copied result of its attributes."""
    return kind(**kept)


@dataclass(frozen=True, eq=False)
class Recipe:
    """How a result was made, so that it can be made again in other resamples.

    Attributes
    ----------
    sample : Sample
    statistic : maps weights (units, b) to (1 + pairs, b), the value first
    estimates : (1 + pairs, 1 + replicates)
    adjust : what is done to estimates afterwards, or None
    overall : makes the result of all images on the same sample, with pairs of labels; where pairs
        are of groups and labels
    """

    sample: Sample
    statistic: Statistic
    estimates: Floats
    adjust: Callable[[Floats], Floats] | None = None
    overall: Callable[[], Result] | None = None


_AnyResult = TypeVar("_AnyResult", bound=Result)
OfShare = Callable[[Floats], Floats]


def the_share(share: Floats) -> Floats:
    """Return a share: the figure of a share that is one itself."""
    return share


def summarise(
    sample: Sample,
    statistic: Statistic,
    n: int,
    name: str,
    *,
    pairs: Mapping[str, Any] | None = None,
    shares: Floats | None = None,
    of_share: OfShare = the_share,
    whole: bool = False,
    adjust: Callable[[Floats], Floats] | None = None,
    value: Floats | None = None,
    estimates: Floats | None = None,
    family: Floats | None = None,
    overall: Callable[[], Result] | None = None,
    kind: type[_AnyResult] = Result,  # type: ignore[assignment]
    **more: Any,
) -> _AnyResult:
    """Make a result of a statistic.

    Parameters
    ----------
    sample : the images
    statistic : maps weights (units, b) to (1 + pairs, b), the value first, or (b,) without pairs
    n : images that the value rests on
    name : of the measure
    pairs : key columns, one value per pair, and further columns, among them the pairs' `n`
    shares : (1 + pairs,) numbers of images of which value and pairs are shares, if they are such;
        see `Sample.effective`
    of_share : maps these shares, (1 + pairs,), to the figures, which rise with them
    whole : the statistic adds up numbers of images first; see `Sample.estimate`
    adjust : what is done to estimates (1 + pairs, 1 + replicates)
    value : the statistic on the images as they are (1 + pairs, 1), if that is known already
    estimates : what `sample.estimate(statistic)` gives, if that is known already
    family : estimates of all figures that hold together with these, if that is asked for
    overall : of the recipe
    kind, more : the class of the result, and what else it takes
    """

    def rows(weights: Array) -> Floats:
        return np.atleast_2d(statistic(weights))

    if estimates is None:
        estimates = sample.estimate(rows, whole, value)
        if adjust is not None:
            estimates = adjust(estimates)
    estimates = np.atleast_2d(estimates) + 0.0  # −0 is 0
    low, high = sample.interval(estimates, rows)
    counts = np.append(n, [] if pairs is None else pairs["n"])
    if len(counts) == len(estimates):
        low, high = (np.where(counts == 1, np.nan, end) for end in (low, high))
    if shares is not None:
        low, high = _at_the_edge(sample, estimates, (low, high), shares, of_share)
    if sample.drawing.simultaneous and sample.drawing.replicates:
        factor = widening(estimates if family is None else family, sample.drawing.confidence)
        low, high = stretched(estimates[:, 0], low, high, factor)
        if shares is not None:
            least, most = (of_share(np.full(len(estimates), end)) for end in (0.0, 1.0))
            low, high = np.clip(low, least, most), np.clip(high, least, most)
    table = None
    if pairs is not None:
        figures = {"value": estimates[1:, 0], "low": low[1:], "high": high[1:]}
        keys = {column: values for column, values in pairs.items() if column in _KEYS}
        rest = {column: values for column, values in pairs.items() if column not in keys}
        table = pd.DataFrame({**keys, **figures, **rest})
    return kind(
        value=float(estimates[0, 0]),
        low=float(low[0]),
        high=float(high[0]),
        n=int(n),
        replicates=estimates[0, 1:],
        pairs=table,
        name=name,
        _recipe=Recipe(sample, rows, estimates, adjust, overall),
        **more,
    )


def _at_the_edge(
    sample: Sample, estimates: Floats, drawn: tuple[Floats, Floats], n: Floats, of_share: OfShare
) -> tuple[Floats, Floats]:
    """Return intervals of which those of shares that are 0 or 1 are Clopper's and Pearson's.

    What is drawn may reach further, where the share is not the only thing that varies. Sums of
    weights may miss 0 and 1 by what floats leave; sums of images do not.
    """
    low, high = drawn
    value = estimates[:, 0]
    if not sample.drawing.replicates:
        return low, high
    reach = ((1 - sample.drawing.confidence) / 2) ** (1 / np.maximum(n, 1))
    noise = _ROUNDING if sample.weight is None else _NOISE
    none = value <= of_share(np.zeros(len(n))) + noise
    every = value >= of_share(np.ones(len(n))) - noise
    low, high = np.where(none, value, low), np.where(every, np.fmax(value, high), high)
    low = np.where(every, np.fmin(low, of_share(reach)), low)
    return low, np.where(none, np.fmax(high, of_share(1 - reach)), high)


def pair_keys(groups: Sequence[Any], labels: Sequence[Any]) -> dict[str, Array]:
    """Return the key columns of all pairs, group by group."""
    return {
        "group": np.repeat(as_objects(groups), len(labels)),
        "label": np.tile(as_objects(labels), len(groups)),
    }


def recipe_of(result: Result) -> Recipe:
    """Return how a result was made."""
    if result._recipe is None:
        raise InputError(f"{result.name or 'a result'} has no resamples to compare")
    return result._recipe


def compare(a: Result, b: Result) -> Result:
    """Return b − a with a paired interval: both are taken in the same resamples.

    Parameters
    ----------
    a, b : Result
        The same measure of two models on the same rows, or two measures of one model.

    Returns
    -------
    Result
        Value, replicates and pairs are differences; n is the smaller of the two. A pair that one of
        them lacks is NaN, and so is the interval where one of them has none.

    Raises
    ------
    InputError
        The results are of different numbers of rows, or were drawn with different settings.

    Examples
    --------
    >>> from fairvision import metrics
    >>> a = metrics.accuracy([1, 1, 0, 0], [1, 0, 0, 1])
    >>> b = metrics.accuracy([1, 1, 0, 0], [1, 1, 0, 1])
    >>> float(metrics.compare(a, b))
    0.25
    """
    for given in (a, b):
        if not isinstance(given, Result):
            raise InputError(f"only results can be compared, not {type(given).__name__}")
    name = f"difference in {a.name}" if a.name == b.name else f"{b.name} - {a.name}"
    n = min(a.n, b.n)
    pairs, places = _common_pairs(a, b)

    def difference(of_a: Floats, of_b: Floats) -> Floats:
        return _at(of_b, places[1]) - _at(of_a, places[0])

    ours, theirs = recipe_of(a), recipe_of(b)
    if ours.sample.same_draws(theirs.sample):
        estimates = difference(ours.estimates, theirs.estimates)

        def together(weights: Array) -> Floats:
            return difference(ours.statistic(weights), theirs.statistic(weights))

        drawn: Result = summarise(ours.sample, together, n, name, pairs=pairs, estimates=estimates)
        return _where_both_have_one(drawn, (a, b), places)
    joint, sum_a, sum_b = ours.sample.joined(theirs.sample)

    def apart(drawn: Array) -> Floats:
        of_a = ours.statistic(ours.sample.weighted(sum_a @ drawn))
        of_b = theirs.statistic(theirs.sample.weighted(sum_b @ drawn))
        return np.concatenate([of_a, of_b])

    both = joint.estimate(apart)
    parts = [both[: len(ours.estimates)], both[len(ours.estimates) :]]
    parts = [part if m.adjust is None else m.adjust(part) for part, m in zip(parts, (ours, theirs))]

    def of_joint(drawn: Array) -> Floats:
        of_both = apart(drawn)
        return difference(of_both[: len(ours.estimates)], of_both[len(ours.estimates) :])

    drawn = summarise(joint, of_joint, n, name, pairs=pairs, estimates=difference(*parts))
    return _where_both_have_one(drawn, (a, b), places)


def _where_both_have_one(
    difference: Result, results: tuple[Result, Result], places: Sequence[Ints]
) -> Result:
    """Return a difference without intervals where one of the results has none at its place."""
    has_both = np.ones(len(places[0]), bool)
    for result, at in zip(results, places):
        of_pairs: Any = [] if result.pairs is None else result.pairs["low"].astype(float)
        has_both &= ~np.isnan(np.concatenate([[result.low], of_pairs, [np.nan]])[at])
    value, of_rows = has_both[0], has_both[1:]
    table = difference.pairs
    if table is not None:
        table = table.assign(**{end: table[end].where(of_rows) for end in ("low", "high")})
    low, high = (end if value else np.nan for end in (difference.low, difference.high))
    return replace(difference, low=low, high=high, pairs=table)


def _common_pairs(a: Result, b: Result) -> tuple[Mapping[str, Any] | None, list[Ints]]:
    """Return keys and n of the pairs of either, and of each the places of value and pairs.

    The value alone where one of them has no pairs, or so many that their resamples are not
    kept. A place is −1 where a result lacks the pair.
    """
    tables = [
        result.pairs
        for result in (a, b)
        if result.pairs is not None and len(recipe_of(result).estimates) == 1 + len(result.pairs)
    ]
    if len(tables) < 2:
        return None, [np.zeros(1, int)] * 2
    keys = [column for column in _KEYS if all(column in table for table in tables)]
    indices = [pd.MultiIndex.from_frame(table[keys].astype(object)) for table in tables]
    union = indices[0].union(indices[1], sort=False)
    rows = [index.get_indexer(union) for index in indices]
    counts = [np.where(at >= 0, of["n"].to_numpy()[at], 0) for at, of in zip(rows, tables)]
    pairs = {key: list(union.get_level_values(key)) for key in keys}
    places = [np.concatenate([[0], np.where(at >= 0, at + 1, -1)]) for at in rows]
    return {**pairs, "n": np.minimum(*counts)}, places


def _at(estimates: Floats, places: Ints) -> Floats:
    """Return rows of estimates; NaN where the place is −1."""
    return np.where((places >= 0)[:, None], estimates[places], np.nan)
