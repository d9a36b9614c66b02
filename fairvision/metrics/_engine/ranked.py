"""Images ordered by their scores for each text, and the groups among the first of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import Array, Bools, Floats, Ints, ratio
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.inputs import check_rows, read_scores
from fairvision.metrics._engine.outcomes import Groups, group_columns, read_grouping, warn_of_small
from fairvision.metrics._engine.rows import Rows
from fairvision.schema import UNKNOWN

Desired = Mapping[Any, float] | None


@dataclass(frozen=True, eq=False)
class Places:
    """Groups among the first images of one text.

    Attributes
    ----------
    place : (places, b) how many images are looked at; NaN where there are not so many
    images : (places, b) of known group among them
    shares : (groups, places, b) of these
    desired : (groups, b)
    """

    place: Floats
    images: Floats
    shares: Floats
    desired: Floats

    @property
    def skews(self) -> Floats:
        """Logarithms of shares over desired ones; NaN where the share is 0."""
        over = ratio(self.shares, self.desired[:, None])
        return np.log(over, out=np.full(over.shape, np.nan), where=over > 0)


@dataclass(frozen=True, eq=False)
class Ranking:
    """Images ordered for each text.

    Attributes
    ----------
    name : of the measure
    rows : the images
    names : of the known groups that have images
    counts : (groups,) their images
    labels : of the texts
    blocks : of each text, the sums of weights (1 + groups, scores, units) over images with the same
        score, from the best on; of all images first
    desired : (groups, 1), or None for the shares of all images
    k : how many images, which share of them, or None for all
    weight : mean weight of an image
    every : whether all places up to k are looked at
    """

    name: str
    rows: Rows
    names: tuple[Any, ...]
    counts: Ints
    labels: list[Any]
    blocks: list[sparse.csr_array]
    desired: Floats | None
    k: float | None
    weight: float
    every: bool

    def first(self, text: int) -> tuple[Floats, float]:
        """Return the shares of groups among the first images, and how many images these say."""
        sample = self.rows.sample
        places = self.places(text, sample.base)
        height = self.blocks[text].shape[0] // (1 + len(self.names))
        grouped = self.blocks[text][height:]
        all_say = sample.effective(
            lambda weights: np.asarray((grouped @ weights).sum(axis=0))[None]
        )
        each_says = float(ratio(all_say, self.counts.sum())[0])
        return places.shares[:, 0, 0], each_says * float(places.images[0, 0])

    def places(self, text: int, weights: Array) -> Places:
        """Return the groups among the first images of a text, in resamples (units, b)."""
        kinds = 1 + len(self.names)
        sums = np.asarray(self.blocks[text] @ weights).reshape(kinds, -1, weights.shape[1])
        reached = np.concatenate([np.zeros_like(sums[:, :1]), sums.cumsum(axis=1)], axis=1)
        everything = reached[:, -1]
        images = everything[0] / self.weight
        most = images if self.k is None else np.minimum(images, self.k)
        if self.k is not None and self.k < 1:
            most = self.k * images
        place = most[None]
        if self.every:
            whole = np.floor(most + 1e-9)
            place = np.arange(1.0, whole.max(initial=0) + 1)[:, None]
            place = np.where(place <= whole, place, np.nan)
        desired = self.desired
        if desired is None:
            desired = ratio(everything[1:], everything[1:].sum(axis=0))
        first = _reached_at(reached, np.nan_to_num(place) * self.weight)
        grouped = np.where(np.isnan(place), 0, first.sum(axis=0))
        shares = ratio(first, grouped)
        return Places(
            place, grouped / self.weight, shares, np.broadcast_to(desired, everything[1:].shape)
        )


def _reached_at(reached: Floats, place: Floats) -> Floats:
    """Return what is reached of each group (groups, places, b) where so many images are.

    `reached` (1 + groups, 1 + scores, b) rises from 0; in between it is a straight line, on which
    images with the same score share the places that they span.
    """
    total, last = reached[0], reached.shape[1] - 1
    apart = (total[-1].max(initial=0) + 1) * np.arange(total.shape[1])
    at = np.searchsorted((total + apart).T.ravel(), (place + apart).ravel()).reshape(place.shape)
    after = np.clip(at - (last + 1) * np.arange(total.shape[1]), min(1, last), last)
    before = np.maximum(after - 1, 0)
    start = np.take_along_axis(total, before, axis=0)
    span = np.take_along_axis(total, after, axis=0) - start
    part = np.clip(np.nan_to_num(ratio(place - start, span)), 0, 1)
    low, high = (np.take_along_axis(reached[1:], at[None], axis=1) for at in (before, after))
    along: Floats = low + part * (high - low)
    return along


def read_ranking(
    name: str,
    scores: ArrayLike,
    groups: Groups,
    k: float | None,
    desired: Desired,
    sampling: Sampling,
    *,
    every: bool = False,
) -> Ranking:
    """Read scores and groups, and order the images for each text."""
    _check_k(k, optional=every)
    if groups is None:
        raise InputError(f"{name} needs groups")
    rows = Rows({"scores": scores, **group_columns(groups)}, sampling)
    table, labels = read_scores("scores", rows["scores"])
    check_rows(scores=table, **{arg: rows[arg] for arg in group_columns(groups)})
    keep: Bools = np.asarray(~np.isnan(table).any(axis=1))
    images = rows.count(keep)
    if k is not None and 0 < images < k:
        raise InputError(f"k is {k}, but only {images} images have scores")
    grouping = read_grouping(groups, rows, keep)
    named = [code for code, group in enumerate(grouping.names) if group != UNKNOWN]
    counts = np.array([rows.count(keep & (grouping.code == code)) for code in named], int)
    present = [code for code, n in zip(named, counts) if n]
    place = np.full(len(grouping.names) + 1, -1)
    place[present] = np.arange(len(present))
    names = tuple(grouping.names[code] for code in present)
    warn_of_small({name: {"group": names, "n": counts[counts > 0]}})
    code = place[grouping.code]
    weight = float(ratio(rows.sample.base[keep].sum(), np.asarray(images)))
    return Ranking(
        *(name, rows, names, counts[counts > 0], labels),
        blocks=[_blocks(score, keep, code, 1 + len(names)) for score in table.T],
        desired=_read_desired(desired, names),
        k=k,
        weight=weight if weight > 0 else 1.0,
        every=every,
    )


def _check_k(k: Any, *, optional: bool) -> None:
    """Raise unless k is a number of images or a share of them."""
    if k is None and optional:
        return
    number = isinstance(k, (int, float, np.number)) and not isinstance(k, bool)
    if not number or not (0 < k < 1 or (k >= 1 and float(k).is_integer())):
        raise InputError(
            "k must be a whole number from 1 on, how many images are looked at, or between 0 and "
            f"1, which share of them; not {shown(k)}"
        )


def _read_desired(desired: Desired, names: Sequence[Any]) -> Floats | None:
    """Return the desired shares of groups (groups, 1), or None."""
    if desired is None:
        return None
    if not isinstance(desired, Mapping):
        raise InputError(f"desired must be a dict of group to number, not {shown(desired)}")
    missing = [group for group in names if group not in desired]
    if missing:
        raise InputError(f"desired has no number for the group {shown(missing[0])}")
    for group, share in desired.items():
        if not isinstance(share, (int, float, np.number)) or not 0 < share < np.inf:
            raise InputError(f"desired[{group!r}] must be a number above 0, not {shown(share)}")
    total = float(sum(desired.values()))
    return np.array([desired[group] / total for group in names], float)[:, None]


def _blocks(scores: Floats, keep: Bools, code: Ints, kinds: int) -> sparse.csr_array:
    """Return the sums of weights over images with the same score, of all and of each group."""
    (unit,) = np.nonzero(keep)
    different, block = np.unique(-scores[unit], return_inverse=True)
    grouped = code[unit] >= 0
    row = np.concatenate([block, (1 + code[unit][grouped]) * len(different) + block[grouped]])
    column = np.concatenate([unit, unit[grouped]])
    shape = kinds * len(different), len(scores)
    return sparse.csr_array((np.ones(len(row)), (row, column)), shape=shape)
