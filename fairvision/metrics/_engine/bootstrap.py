"""The bootstrap that all measures share: a measure is a function of how often each row counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.special import ndtr, ndtri

from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import Array, Bools, Floats, Ints, ratio, unique_codes
from fairvision.metrics._engine.clusters import Clusters, Parts, tails
from fairvision.metrics._engine.draws import draw_rows, draw_units, keep_rows, keep_units

Statistic = Callable[[Array], Floats]  # weights (units, b) → values (..., b)

_BLOCK = 4_000_000  # weights handed to a statistic at once (32 MB)
_KEPT = 120_000_000  # drawn counts kept for the next measure (120 MB)
_KEPT_UNITS = 2_000_000  # the same of units that stand for many images
_APART = 4  # images of each row, at most, up to which they are drawn one by one
_JACKKNIFE = 1000  # parts that are left out in turn, at most
_STILL = 1e-12  # of a figure: what floats leave where nothing has changed


@dataclass(frozen=True)
class Drawing:
    """How resamples are drawn and made an interval."""

    replicates: int = 1000
    confidence: float = 0.95
    seed: int = 0
    interval: str = "percentile"
    simultaneous: bool = False
    joint: bool = False

    def __post_init__(self) -> None:
        for name in ("replicates", "seed"):
            given = getattr(self, name)
            if isinstance(given, (bool, np.bool_)) or not isinstance(given, (int, np.integer)):
                raise InputError(f"{name} must be a whole number, not {shown(given)}")
        if not isinstance(self.confidence, (int, float, np.floating)):
            raise InputError(f"confidence must be a number, not {shown(self.confidence)}")
        if self.replicates < 0:
            raise InputError(f"replicates must be 0 or more, not {self.replicates}")
        if not 0 < self.confidence < 1:
            raise InputError(f"confidence must be between 0 and 1, not {self.confidence}")
        if self.seed < 0:
            raise InputError(f"seed must be 0 or more, not {self.seed}")
        for name in ("simultaneous", "joint"):
            if not isinstance(getattr(self, name), (bool, np.bool_)):
                raise InputError(f"{name} must be True or False, not {shown(getattr(self, name))}")
        if not isinstance(self.interval, str) or self.interval not in ("percentile", "bca"):
            raise InputError(f"interval must be 'percentile' or 'bca', not {shown(self.interval)}")


@dataclass(frozen=True, eq=False)
class Sample:
    """Images, alike ones taken together as a unit, and how they are drawn again.

    A resample draws as many images as there are, with replacement; how often each unit is drawn is
    exactly multinomial, whatever the number of images. Of clusters, as many clusters are drawn as
    there are, each with all its images.

    Attributes
    ----------
    counts : (units,) int64
        Images of each unit.
    drawing : Drawing
    units : (rows,) and (codes,) ints, or None
        The code of the values in each row that was given, and the unit of each code; None where
        each row is a unit.
    row_counts : (rows,) int64 or None
        Images of each row; None where each row is an image.
    weight : (units,) or None
        What an image of the unit weighs; None for 1.
    stratum : (units,) ints from 0 on, or None
    cluster : (rows,) ints from 0 on, or None
        Which rows are drawn together; None where each image is drawn by itself.
    block : (rows,) ints from 0 on, or None
        Which rows are drawn together instead, where images or clusters are many: blocks of them at
        random; see `Blocks`.
    """

    counts: Ints
    drawing: Drawing = field(default_factory=Drawing)
    units: tuple[Ints, Ints] | None = None
    row_counts: Ints | None = None
    weight: Floats | None = None
    stratum: Ints | None = None
    cluster: Ints | None = None
    block: Ints | None = None

    @property
    def rows(self) -> int:
        """Number of rows that were given."""
        return len(self.counts) if self.units is None else len(self.units[0])

    @property
    def unit(self) -> Ints:
        """The unit of each row, (rows,)."""
        if self.units is None:
            return np.arange(self.rows)
        code, unit_of_code = self.units
        return unit_of_code[code]

    @cached_property
    def clusters(self) -> Clusters | None:
        """What is drawn instead of images, if it is."""
        together = self.cluster if self.block is None else self.block
        if together is None:
            return None
        images = np.ones(self.rows, np.int64) if self.row_counts is None else self.row_counts
        return Clusters.of(
            *(together, self.unit, images, len(self.counts), self.stratum),
            alike=not self.drawing.joint,
        )

    @cached_property
    def _wholes(self) -> Sample:
        """What is drawn, as units: the images, or clusters of each kind."""
        if self.clusters is None:
            return self
        return Sample(self.clusters.times, self.drawing, stratum=self.clusters.stratum)

    @property
    def rows_are_images(self) -> bool:
        """Whether each row is one image, drawn from all of them."""
        counts = self.row_counts
        return self.stratum is None and (counts is None or bool((counts == 1).all()))

    @property
    def base(self) -> Floats:
        """What each unit weighs in the figure itself, (units, 1)."""
        return self.weighted(self.counts[:, None].astype(float))

    def weighted(self, drawn: Floats) -> Floats:
        """Return what units weigh that were drawn so often, (units, b)."""
        return drawn if self.weight is None else drawn * self.weight[:, None]

    def effective(self, images: Statistic) -> Floats:
        """Return how many images of equal weight say as much as those that shares are of.

        `images` adds up what the images of each share weigh, also of sparse arrays. By Kish (1965)
        the number is (Σ w)² / Σ w², at most the number of images. Images of a cluster may all say
        the same, so of clusters it is that of the clusters, each with the weight of its images.
        """
        share = np.ones(len(self.counts))
        if self.weight is not None:
            share = self.weight / max(self.weight.max(initial=0), np.finfo(float).tiny)
        if self.cluster is not None and self.clusters is not None:
            total, squares = self.clusters.squares(images, share, _BLOCK)
        elif self.weight is None:
            return images(self.counts[:, None].astype(float))[..., 0]
        else:
            both = images(self.counts[:, None] * np.stack([share, share**2], axis=1))
            total, squares = both[..., 0], both[..., 1]
        return np.nan_to_num(ratio(total**2, squares))

    def estimate(
        self, statistic: Statistic, whole: bool = False, value: Floats | None = None
    ) -> Floats:
        """Evaluate a statistic on the images as they are and on every resample.

        Parameters
        ----------
        statistic : maps weights (units, b) to values (..., b), each column by itself.
        whole : what it does first is to add up numbers of images, by matrices of whole numbers:
            then the weights may be float32, in which sums below 2**24 are exact.
        value : the statistic on the images as they are (..., 1), where it is known already.

        Returns
        -------
        (..., 1 + replicates); first the value itself.
        """
        most = self.counts.sum() if self.clusters is None else self.clusters.most
        single = whole and self.weight is None and most < 1 << 24
        draws = self._draws(np.float32 if single else float)
        value = statistic(self.base) if value is None else value
        return np.concatenate([value, *(statistic(self.weighted(d)) for d in draws)], axis=-1)

    def interval(
        self, estimates: Floats, statistic: Statistic | None = None
    ) -> tuple[Floats, Floats]:
        """Return both ends of the interval of estimates (..., 1 + replicates).

        It is taken over the resamples in which the statistic is defined, and is NaN where the value
        itself is undefined or fewer than half of the resamples are defined. `statistic` is for BCa
        and for clusters: it says on how many of these each figure rests; on one alone is NaN.
        """
        value, replicates = estimates[..., 0], np.sort(estimates[..., 1:], axis=-1)
        if not self.drawing.replicates:
            return np.full_like(value, np.nan), np.full_like(value, np.nan)
        defined = (~np.isnan(replicates)).sum(axis=-1)
        usable = (2 * defined >= self.drawing.replicates) & ~np.isnan(value)
        tail = np.full(value.shape, (1 - self.drawing.confidence) / 2)
        accelerated = self.drawing.interval == "bca"
        jackknife = None
        by_clusters = self.cluster is not None
        if statistic is not None and self.counts.any() and (accelerated or by_clusters):
            jackknife = self._jackknife(statistic, value.shape)
        if by_clusters and jackknife is not None:
            change, times = jackknife
            moved = _moved(value, change)
            usable &= np.where(moved, times, 0).sum(axis=-1) != 1
            parts = Parts(times, self._sizes_left_out())
            tail = tails(tail, parts.as_equal(change - value[..., None], moved))
        ends = np.stack([tail, 1 - tail])
        if accelerated and jackknife is not None:
            ends = _accelerated(ends, value, replicates, defined, *jackknife)
        low, high = (np.where(usable, _quantile(replicates, defined, end), np.nan) for end in ends)
        return low, high

    def joined(self, other: Sample) -> tuple[Sample, sparse.csr_array, sparse.csr_array]:
        """Return the sample of the pairs of units, and the sums over pairs for each of the two."""
        _check_paired(self, other)
        pair = self.unit.astype(np.int64) * len(other.counts) + other.unit
        pairs, unit = unique_codes(pair, len(self.counts) * len(other.counts))
        rows = np.bincount(unit, weights=self.row_counts, minlength=len(pairs))
        counts = np.rint(rows).astype(np.int64)
        of_mine, of_theirs = np.divmod(pairs, max(1, len(other.counts)))
        stratum = None if self.stratum is None else self.stratum[of_mine]
        units = (unit, np.arange(len(pairs)))
        block = other.block if self.block is None else self.block
        joint = Sample(
            *(counts, self.drawing, units, self.row_counts),
            stratum=stratum,
            cluster=self.cluster,
            block=block,
        )
        sums = (
            sparse.csr_array(
                (np.ones(len(of)), (of, np.arange(len(of)))), shape=(len(s.counts), len(of))
            )
            for of, s in ((of_mine, self), (of_theirs, other))
        )
        return joint, *sums

    def same_draws(self, other: Sample) -> bool:
        """Say whether units are the same rows, so that both are drawn alike."""
        if self is other:
            return True
        both = zip(self._places, other._places)
        return (
            (self.stratum is None and other.stratum is None)
            and self.drawing == other.drawing
            and np.array_equal(self.counts, other.counts)
            and all(_same(*each) for each in both)
        )

    @property
    def _places(self) -> tuple[Ints | None, ...]:
        """Which rows are a unit, a cluster and a block."""
        return *(self.units or (None, None)), self.cluster, self.block

    def _draws(self, kind: type[Any] = float) -> Iterator[Floats]:
        """Yield how often each unit is drawn, (units, b), for all replicates."""
        wholes, members = self._wholes, None
        if self.clusters is not None:
            members = self.clusters.members.astype(kind)
        elif self.drawing.joint and self.units is not None and self.rows_are_images:
            wholes = Sample(np.ones(self.rows, np.int64), self.drawing)
            at = (self.unit, np.arange(self.rows))
            members = sparse.csr_array((np.ones(self.rows, kind), at))
        for drawn in wholes._units_drawn(kind, len(self.counts)):
            yield drawn if members is None else members @ drawn

    def _units_drawn(self, kind: type[Any], width: int) -> Iterator[Floats]:
        """Yield how often each unit is drawn by itself; in blocks that `width` units allow too."""
        units, replicates, seed = len(self.counts), self.drawing.replicates, self.drawing.seed
        size = max(1, _BLOCK // max(1, units, width))
        images = int(self.counts.sum())
        alone = images == units and bool((self.counts == 1).all())
        apart = self.units is None and bool(self.counts.all()) and images <= _APART * units
        if self.stratum is None and (alone or apart):
            draw = keep_rows if images * replicates <= _KEPT else draw_rows
            first = self.counts.cumsum() - self.counts
            for block in draw(images, replicates, seed, max(1, _BLOCK // max(1, images, width))):
                # as the rows repeated are drawn
                drawn = block if alone else np.add.reduceat(block.astype(np.int32), first, axis=0)
                yield drawn.astype(kind)
            return
        if self.stratum is None and 0 < units * replicates <= _KEPT_UNITS:
            yield keep_units(self.counts.tobytes(), replicates, seed).astype(kind)
            return
        stratum = np.zeros(units, int) if self.stratum is None else self.stratum
        parts = [np.flatnonzero(stratum == s) for s in range(stratum.max(initial=-1) + 1)]
        generators = [np.random.default_rng([seed, s] if s else seed) for s in range(len(parts))]
        for start in range(0, replicates, size):
            together = np.zeros((units, min(size, replicates - start)))
            for part, generator in zip(parts, generators):
                together[part] = draw_units(generator, self.counts[part], together.shape[1])
            yield together.astype(kind, copy=False)

    def _jackknife(self, statistic: Statistic, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
        """Return a statistic without one of what is drawn (..., k), and how often each is there."""
        left, times = self._wholes._left_out()
        if self.clusters is not None:
            left = self.clusters.members @ left
        return statistic(self.weighted(left)).reshape(*shape, -1), times

    def _left_out(self) -> tuple[Floats, Floats]:
        """Return how often units are there without one, or one part of all (units, k)."""
        present = np.flatnonzero(self.counts)
        if len(present) <= _JACKKNIFE:
            drawn = np.repeat(self.counts[:, None].astype(float), len(present), axis=1)
            drawn[present, np.arange(len(present))] -= 1
            return drawn, self.counts[present].astype(float)
        drawn = self.counts[:, None] * (self._part(present)[:, None] != np.arange(_JACKKNIFE))
        return drawn.astype(float), np.ones(_JACKKNIFE)

    def _part(self, present: Ints) -> Ints:
        """Return with which units each is left out, (units,), where these are many."""
        part = np.full(len(self.counts), -1)
        order = np.random.default_rng(self.drawing.seed).permutation(present)
        part[order] = np.arange(len(order)) % _JACKKNIFE
        return part

    def _sizes_left_out(self) -> Floats:
        """Return sums of powers of the sizes of clusters that `_jackknife` leaves out, (4, k)."""
        assert self.clusters is not None
        times = self.clusters.times
        present = np.flatnonzero(times)
        powers = self.clusters.sizes ** np.arange(1, 5)[:, None]
        if len(present) <= _JACKKNIFE:
            return powers[:, present]
        part = self._wholes._part(present)[present]
        return np.array([np.bincount(part, of, _JACKKNIFE) for of in (powers * times)[:, present]])


def _check_paired(a: Sample, b: Sample) -> None:
    """Raise unless two samples are of the same rows, drawn alike."""
    rows = a.rows == b.rows and np.array_equal(
        np.ones(1) if a.row_counts is None else a.row_counts,
        np.ones(1) if b.row_counts is None else b.row_counts,
    )
    alike = (a.stratum is None) == (b.stratum is None) and _same(a.cluster, b.cluster)
    if not rows or a.drawing != b.drawing or not alike:
        raise InputError(
            "these results are not paired: they need the same rows, counts, strata, clusters, "
            "replicates, confidence, interval and seed"
        )


def _same(a: Ints | None, b: Ints | None) -> bool:
    """Say whether rows lie in the same places."""
    return a is b or (a is not None and b is not None and np.array_equal(a, b))


def _moved(value: Floats, change: Floats) -> Bools:
    """Return which figures (..., parts) are others without a part of what is drawn."""
    return ~(np.abs(change - value[..., None]) <= _STILL * np.abs(value)[..., None])


def _accelerated(
    ends: Floats,
    value: Floats,
    replicates: Floats,
    defined: Ints,
    change: Floats,
    times: Floats,
) -> Floats:
    """Return the levels (2, ...) at which BCa takes percentiles of sorted replicates."""
    at = value[..., None]
    below = (replicates < at).sum(axis=-1) + (replicates == at).sum(axis=-1) / 2
    share = ratio(below, defined)
    half = 0.5 / np.maximum(defined, 1)
    bias = ndtri(np.clip(share, half, 1 - half))
    has_change = ~np.isnan(change)
    times = times * has_change
    change = np.where(has_change, change, 0)
    mean = ratio((change * times).sum(axis=-1), times.sum(axis=-1))
    change = np.where(has_change, mean[..., None] - change, 0)
    spread = (change**2 * times).sum(axis=-1) ** 1.5
    skew = np.nan_to_num(ratio((change**3 * times).sum(axis=-1), 6 * spread))
    z = bias + ndtri(ends)
    levels: Floats = ndtr(bias + z / (1 - skew * z))
    return levels


def _quantile(replicates: Floats, defined: Ints, level: Floats) -> Floats:
    """Return quantiles of sorted replicates (..., b), the first `defined` of each not NaN."""
    if not replicates.shape[-1]:
        return np.full(defined.shape, np.nan)
    place = np.nan_to_num(level) * np.maximum(defined - 1, 0)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, np.maximum(defined - 1, 0))
    left, right = (
        np.take_along_axis(replicates, at[..., None], axis=-1)[..., 0] for at in (below, above)
    )
    quantile: Floats = left + (right - left) * (place - below)
    return quantile


class Sampling(TypedDict, total=False):
    """Keywords of every measure that returns a `Result`.

    Attributes
    ----------
    replicates : int, default 1000
        Bootstrap resamples; 0 for none, and NaN as the interval.
    confidence : float, default 0.95
        Of the interval, between 0 and 1.
    seed : int, default 0
        Not negative. The same data with the same seed give the same interval.
    interval : {"percentile", "bca"}, default "percentile"
        Percentiles of the replicates, or bias-corrected and accelerated ones (Efron 1987), which
        are second-order accurate and cost a jackknife.
    simultaneous : bool, default False
        Whether the intervals of the value and of all `pairs` (of all groups, of `mean_by_group`)
        hold together, all in `confidence` of the data sets, not each by itself: max-t over the
        replicates, see `fairvision.metrics.simultaneous`.
    joint : bool, default False
        Draw each row by itself, so that results of different columns of the same rows vary
        together, as `fairvision.metrics.simultaneous` asks. Takes longer where many rows are alike.
        Rows that stand for several images (`counts`) and strata are not drawn so.
    strata : (n,) names or codes, optional
        Rows are drawn again within each stratum, so that strata keep their sizes. An unknown one is
        a stratum of its own.
    cluster : (n,) names or codes, optional
        What is drawn instead of single images: all of one person, scene or photographer, which are
        no independent evidence. Clusters are drawn as wholes (Field and Welsh 2007), as many as
        there are. A row whose cluster is unknown (None, NaN, −1 or
        "unknown") is one by itself. Percentiles are
        taken further out where a figure rests on few clusters (Hesterberg 2015), for which unequal
        ones count as fewer; the interval is NaN where it rests on one alone. Where each image is
        a cluster, the result is that without.
    counts : (n,) whole numbers, optional
        How many images each row stands for, as a table of counts has them; see `Counts`. By default
        1. The result is the same as that of the rows repeated; a row that counts 0 times is not
        there, whatever it holds.
    weights : (n,) numbers, optional
        How much each image weighs in the figure, as survey weights do; by default 1. `n` goes on
        counting images, also those that weigh 0, whose labels and groups exist. Equal weights are
        the same as none.
    """

    replicates: int
    confidence: float
    seed: int
    interval: Literal["percentile", "bca"]
    simultaneous: bool
    joint: bool
    strata: ArrayLike | None
    cluster: ArrayLike | None
    counts: ArrayLike | None
    weights: ArrayLike | None
