"""Groups in what a search ranks first: images ordered by their scores for each text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr

from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import Array, Floats, mean_of_defined, ratio
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.outcomes import Groups
from fairvision.metrics._engine.ranked import Desired, Places, Ranking, read_ranking
from fairvision.metrics._engine.result import OfShare, Result, pair_keys, summarise
from fairvision.metrics.scores import centre_replicates

_ROUNDING = 1e-12  # of a share
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
        Where all of the first k images are of one group, or none is, the interval reaches as far as
        that of this share, which is exact.

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
    ranking = read_ranking("bias_at_k", scores, groups, k, None, sampling)
    names = ranking.names
    toward = _toward(toward, names)

    def figure(places: Places) -> Floats:
        shares = places.shares[:, 0]
        bias: Floats = shares.max(axis=0) - shares.min(axis=0)
        if toward in names:
            share = shares[names.index(toward)]
            bias = share - (1 - share) / (len(names) - 1)
        return bias

    others = max(1, len(names) - 1)

    def of_share(share: Floats) -> Floats:
        bias: Floats = share - (1 - share) / others
        return bias

    return _of_texts(ranking, figure, ends=(-1, 1), of_share=of_share)


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
        Where all of the first k images are of one group the interval reaches as far down as that of
        this share, which is exact.

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
    ranking = read_ranking("skew_at_k", scores, groups, k, desired, sampling)
    names = ranking.names
    toward = _toward(toward, names)

    def figure(places: Places) -> Floats:
        skews = places.skews[:, 0]
        one: Floats = skews[names.index(toward)] if toward in names else _largest(np.abs(skews))
        return one

    return _of_texts(ranking, figure, lambda places: places.skews[:, 0], of_share=np.log)


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
    ranking = read_ranking("max_skew", scores, groups, k, desired, sampling)
    return _of_texts(
        ranking, lambda places: _largest(places.skews[:, 0]), ends=(0, np.inf), of_share=np.log
    )


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
    ranking = read_ranking("ndkl", scores, groups, k, desired, sampling, every=True)

    def figure(places: Places) -> Floats:
        apart = rel_entr(places.shares, places.desired[:, None]).sum(axis=0)
        discount = np.where(np.isnan(apart), 0, 1 / np.log2(places.place + 1))
        return ratio((np.nan_to_num(apart) * discount).sum(axis=0), discount.sum(axis=0))

    return _of_texts(ranking, figure, ends=(0, np.inf))


def _toward(toward: Any, names: Sequence[Any]) -> Any:
    """Return the group that a figure is signed toward: by default the second of two, or None."""
    if toward is None:
        return names[1] if len(names) == 2 else None
    if names and toward not in names:
        raise InputError(
            f"toward is {shown(toward)}, but the groups are {', '.join(map(repr, names))}"
        )
    return toward


def _largest(values: Floats) -> Floats:
    """Return the largest over the first axis of what is not NaN."""
    largest = np.where(np.isnan(values), -np.inf, values).max(axis=0, initial=-np.inf)
    return np.where(np.isinf(largest), np.nan, largest)


def _of_texts(
    ranking: Ranking,
    figure: Callable[[Places], Floats],
    of_groups: Callable[[Places], Floats] | None = None,
    ends: tuple[float, float] = (-np.inf, np.inf),
    of_share: OfShare | None = None,
) -> Result:
    """Return the mean of a figure (b,) over texts; pairs are texts, or groups (groups, b) of texts.

    It lies between `ends`. `of_share` maps the share of a group to a figure, which rises with it,
    or is the logarithm, of what that share is of the desired one.
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
    edges: dict[str, Any] = {}
    if of_share is not None and groups > 1:
        edges = _edges(ranking, per_text, statistic, of_share)
    result: Result = summarise(
        ranking.rows.sample,
        statistic,
        n,
        ranking.name,
        pairs=keys,
        adjust=partial(centre_replicates, ends=ends),
        **edges,
    )
    table = result.pairs
    if result.low < result.high or table is None or of_groups or not edges:
        return result
    low, high = (float(table[end].mean()) for end in ("low", "high"))  # all texts are at the edge
    return replace(result, low=low, high=high)


def _edges(
    ranking: Ranking, per_text: int, statistic: Callable[[Array], Floats], of_share: OfShare
) -> dict[str, Any]:
    """Return of how many images figures are shares, and how they depend on these.

    A logarithm is that of the share over the desired one, where all first images are of one group.
    """
    shares, images = zip(*[ranking.first(text) for text in range(len(ranking.labels))])
    numbers = np.append(min(images), np.tile(images, per_text))
    if of_share is not np.log:
        return {"shares": numbers, "of_share": of_share}
    largest = np.max(shares, axis=1)  # NaN: undefined
    alone = np.append(np.nanmin(largest), np.tile(largest, per_text)) >= 1 - _ROUNDING
    value = statistic(ranking.rows.sample.base)[:, 0]
    beyond = value + ~alone  # never reached

    def skew(share: Floats) -> Floats:
        logarithm: Floats = np.log(np.maximum(share, np.finfo(float).tiny)) + beyond
        return logarithm

    return {"shares": numbers, "of_share": skew}
