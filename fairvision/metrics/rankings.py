"""Groups in what a search ranks first: images ordered by their scores for each text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.special import rel_entr

from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import Array, Bools, Floats, Ints, mean_of_defined, ratio
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.inputs import check_rows, read_scores
from fairvision.metrics._engine.outcomes import Groups, group_columns, read_grouping, warn_of_small
from fairvision.metrics._engine.result import Result, pair_keys, summarise
from fairvision.metrics._engine.rows import Rows
from fairvision.metrics.scores import centre_replicates
from fairvision.schema import UNKNOWN

Desired = Mapping[Any, float] | None

_AT_ONCE = 1 << 18  # numbers of images that are added up together


def bias_at_k(
    scores: ArrayLike,
    groups: Groups,
    k: float,
    *,
    toward: Any = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Bias@K: how much more often one group than another is among the first k images of a text.

    With p_g the share of group g among those of the first k images whose group is known, it is
    p_2 − p_1 of two groups, which is (N_2 − N_1) / (N_1 + N_2) in numbers of images. It is no
    measure of error: 0 means equal shares, however frequent the groups are among all images.

    Parameters
    ----------
    scores : (n, texts) or (n,) numbers
        How well each image fits each text; larger is better. A row with NaN is unknown. Images with
        equal scores share the places that they span in equal parts, as if each order of them were
        as likely.
    groups : (n,) names or codes, or a DataFrame or dict of several such columns
        As in `selection_rate`. An image of unknown group takes a place, and is in no share.
    k : whole number from 1 on, or number between 0 and 1
        How many images are looked at, or which share of them.
    toward : group, optional
        Signed: positive where this group is shown more than the mean of the others. By default, of
        two groups, the second in order (of "female" and "male" the latter, as in the paper); of
        more, the figure is the largest share less the smallest.
    **sampling
        Rows and interval; see `Sampling`. Replicates are shifted so that their mean is the value.

    Returns
    -------
    Result
        In [−1, 1]: the mean over texts. `pairs` has a row per text, the `label`. NaN for a text of
        whose first k images no group is known, which is left out of the mean, and where fewer than
        two groups have images. n counts the images of known group.

    Raises
    ------
    InputError
        k is not as described, or larger than the number of images; `toward` is no group.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images.

    References
    ----------
    J. Wang, Y. Liu and X. E. Wang, "Are Gender-Neutral Queries Really Gender-Neutral? Mitigating
    Gender Bias in Image Search", EMNLP 2021, section 3 (arXiv:2109.05433); it has 0 for a text
    without a known group.

    Examples
    --------
    >>> from fairvision import metrics
    >>> groups = ["female", "male"] * 10
    >>> scores = [[1.0 if group == "male" else 0.5] for group in groups]
    >>> float(metrics.bias_at_k(scores, groups, k=5)), float(metrics.bias_at_k(scores, groups, 20))
    (1.0, 0.0)
    """
    ranking = _read("bias_at_k", scores, groups, k, None, sampling)
    names = ranking.names
    toward = _toward(toward, names)

    def figure(places: Places) -> Floats:
        shares = places.shares[:, 0]
        bias: Floats = shares.max(axis=0) - shares.min(axis=0)
        if toward in names:
            share = shares[names.index(toward)]
            bias = share - (1 - share) / (len(names) - 1)
        return bias

    return _of_texts(ranking, figure, ends=(-1, 1))


def skew_at_k(
    scores: ArrayLike,
    groups: Groups,
    k: float,
    *,
    toward: Any = None,
    desired: Desired = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Skew@K: the logarithm of a group's share among the first k images over the desired one.

    With p_g as in `bias_at_k` and d_g the desired share, Skew_g = ln(p_g / d_g): 0 where the group
    is shown as often as desired, ln 2 where twice as often.

    Parameters
    ----------
    scores, groups, k
        As in `bias_at_k`.
    toward : group, optional
        Whose skew the value is. By default, of two groups, that of the second in order; of more,
        the value is the largest skew without its sign, as far as skews are defined.
    desired : dict of group to number, optional
        How often each group should be shown, above 0; scaled to a sum of 1. By default its share of
        all images of known group, in each resample too.
    **sampling
        Rows and interval; see `Sampling`. Replicates are shifted so that their mean is the value.

    Returns
    -------
    Result
        The mean over texts. `pairs` has a row per group and text, the `label`. NaN where a group is
        not among the first k images: the logarithm of 0, which is the worst there can be and is
        left out of the mean. See `bias_at_k` or `ndkl`, which are defined there. NaN as well where
        fewer than two groups have images. n counts the images of known group, in `pairs` of the
        group.

    Raises
    ------
    InputError
        As `bias_at_k`; `desired` does not hold a number above 0 for each group.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images.

    References
    ----------
    S. C. Geyik, S. Ambler and K. Kenthapadi, "Fairness-Aware Ranking in Search & Recommendation
    Systems with Application to LinkedIn Talent Search", KDD 2019, section 3 (arXiv:1905.01989).

    Examples
    --------
    >>> from fairvision import metrics
    >>> groups = ["f", "m", "m", "m"] * 10
    >>> scores = list(range(40, 0, -1))
    >>> result = metrics.skew_at_k(scores, groups, k=2, toward="f", desired={"f": 1, "m": 3})
    >>> round(result.value, 4)  # half of two images, where a quarter is desired
    0.6931
    """
    ranking = _read("skew_at_k", scores, groups, k, desired, sampling)
    names = ranking.names
    toward = _toward(toward, names)

    def figure(places: Places) -> Floats:
        skews = places.skews[:, 0]
        one: Floats = skews[names.index(toward)] if toward in names else _largest(np.abs(skews))
        return one

    return _of_texts(ranking, figure, lambda places: places.skews[:, 0])


def max_skew(
    scores: ArrayLike,
    groups: Groups,
    k: float,
    *,
    desired: Desired = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """MaxSkew@K: the skew of the group that is shown most above its desired share.

    See `skew_at_k`. It is 0 where all groups are shown as desired, and larger by chance where k is
    small: compare models with the same k, texts and images.

    Parameters
    ----------
    scores, groups, k, desired, **sampling
        As in `skew_at_k`.

    Returns
    -------
    Result
        0 or more: the mean over texts. `pairs` has a row per text, the `label`. NaN as in
        `bias_at_k`.

    Raises
    ------
    InputError
        As `skew_at_k`.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images.

    References
    ----------
    S. C. Geyik et al., KDD 2019, section 3 (arXiv:1905.01989).

    Examples
    --------
    >>> from fairvision import metrics
    >>> round(float(metrics.max_skew(list(range(20)), ["f"] * 10 + ["m"] * 10, k=5)), 4)
    0.6931
    """
    ranking = _read("max_skew", scores, groups, k, desired, sampling)
    return _of_texts(ranking, lambda places: _largest(places.skews[:, 0]), ends=(0, np.inf))


def ndkl(
    scores: ArrayLike,
    groups: Groups,
    k: float | None = None,
    *,
    desired: Desired = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """NDKL: how far the groups among the first images are from desired, at every place.

    With D_i the shares of groups among the first i images and D the desired ones,

        NDKL = Σ_i KL(D_i ‖ D) / log₂(i + 1) / Σ_i 1 / log₂(i + 1)

    in natural logarithms. It is 0 only where every beginning is as desired, which few images cannot
    be: compare it with that of scores in random order.

    Parameters
    ----------
    scores, groups, desired, **sampling
        As in `skew_at_k`.
    k : as in `bias_at_k`, optional
        How many places are looked at; by default all.

    Returns
    -------
    Result
        0 or more: the mean over texts. `pairs` has a row per text, the `label`. Places before the
        first image of known group are left out of both sums. NaN as in `bias_at_k`.

    Raises
    ------
    InputError
        As `skew_at_k`.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images.

    References
    ----------
    S. C. Geyik et al., KDD 2019, section 3 (arXiv:1905.01989).

    Examples
    --------
    >>> from fairvision import metrics
    >>> groups = ["f", "m"] * 10
    >>> alternating = metrics.ndkl(list(range(20)), groups)
    >>> apart = metrics.ndkl(list(range(20)), sorted(groups))
    >>> round(float(alternating), 3), round(float(apart), 3)
    (0.105, 0.485)
    """
    ranking = _read("ndkl", scores, groups, k, desired, sampling, every=True)

    def figure(places: Places) -> Floats:
        apart = rel_entr(places.shares, places.desired[:, None]).sum(axis=0)
        discount = np.where(np.isnan(apart), 0, 1 / np.log2(places.place + 1))
        return ratio((np.nan_to_num(apart) * discount).sum(axis=0), discount.sum(axis=0))

    return _of_texts(ranking, figure, ends=(0, np.inf))


@dataclass(frozen=True, eq=False)
class Places:
    """Groups among the first images of one text.

    Attributes
    ----------
    place : (places, b) how many images are looked at; NaN where there are not so many
    shares : (groups, places, b) of the images of known group among them
    desired : (groups, b)
    """

    place: Floats
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
        shares = ratio(first, np.where(np.isnan(place), 0, first.sum(axis=0)))
        return Places(place, shares, np.broadcast_to(desired, everything[1:].shape))


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


def _read(
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


def _toward(toward: Any, names: Sequence[Any]) -> Any:
    """Return the group that a figure is signed toward: by default the second of two, or None."""
    if toward is None:
        return names[1] if len(names) == 2 else None
    if names and toward not in names:
        raise InputError(
            f"toward is {shown(toward)}, but the groups are {', '.join(map(repr, names))}"
        )
    return toward


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


def _largest(values: Floats) -> Floats:
    """Return the largest over the first axis of what is not NaN."""
    largest = np.where(np.isnan(values), -np.inf, values).max(axis=0, initial=-np.inf)
    return np.where(np.isinf(largest), np.nan, largest)


def _of_texts(
    ranking: Ranking,
    figure: Callable[[Places], Floats],
    of_groups: Callable[[Places], Floats] | None = None,
    ends: tuple[float, float] = (-np.inf, np.inf),
) -> Result:
    """Return the mean of a figure (b,) over texts; pairs are texts, or groups (groups, b) of texts.

    It lies between `ends`.
    """
    texts, groups = len(ranking.labels), len(ranking.names)
    per_text = groups if of_groups else 1

    def of_block(weights: Array) -> Floats:
        if groups < 2:
            return np.full((1 + per_text * texts, weights.shape[1]), np.nan)
        places = [ranking.places(text, weights) for text in range(texts)]
        values = np.stack([figure(each) for each in places])
        pairs = values
        if of_groups:
            pairs = np.stack([of_groups(each) for each in places], axis=1)
        return np.vstack([mean_of_defined(values), pairs.reshape(-1, weights.shape[1])])

    def statistic(weights: Array) -> Floats:
        step = max(1, _AT_ONCE // max(1, len(weights)))
        starts = range(0, weights.shape[1], step)
        return np.hstack([of_block(weights[:, start : start + step]) for start in starts])

    n = int(ranking.counts.sum())
    keys: Mapping[str, Any] = {"label": ranking.labels, "n": np.full(texts, n)}
    if of_groups:
        keys = {
            **pair_keys(ranking.names, ranking.labels),
            "n": np.repeat(ranking.counts, texts),
        }
    return summarise(
        ranking.rows.sample,
        statistic,
        n,
        ranking.name,
        pairs=keys,
        adjust=partial(centre_replicates, ends=ends),
    )
