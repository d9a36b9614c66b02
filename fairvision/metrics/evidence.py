"""Where the evidence lies: attribution maps against the pixels of the person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from fairvision.errors import InputError
from fairvision.metrics._engine.pixels import Array, Chunk, OneSign, Part, per_image, read_images


def localisation(
    maps: Array, masks: Array, *, k: int | None = None, part: Part = "positive"
) -> dict[str, Array]:
    """All measures of evidence and the chance level, in one pass over the maps.

    Each map is sorted once for all of them, and a few are worked on at a time, so that the memory
    needed beside the maps does not grow with n. On the CPU there is a thread per core, up to 8, or
    as many as the environment variable OMP_NUM_THREADS says.

    Parameters
    ----------
    maps : (n, height, width) numbers
        Evidence per pixel: a NumPy array, a torch tensor on any device, or lists. Half precision
        is worked on as float32, whole numbers as float64.
    masks : (n, height, width) bool or numbers
        The person: True, or not 0.
    k : int, optional
        As for `top_k_intersection`.
    part : {"positive", "negative", "absolute", "signed"}
        What counts as evidence: the positive part of the map, the part against the class (as
        positive numbers), the size of both, or the map as it is. A signed map has no share of
        mass: `relevance_mass` and `area_weighted_localisation` are then NaN.

    Returns
    -------
    dict of name to (n,) array
        `pointing_game`, `relevance_mass`, `relevance_rank`, `top_k_intersection`, `evidence_auc`,
        `area_weighted_localisation` and `chance_level`, each as by the function of that name.
        NumPy arrays, or tensors on the device of those given; float64, or float32 where the
        device has no float64.

    Raises
    ------
    InputError
        Where shapes or devices differ, or what is given is no array (n, height, width) of numbers.

    Examples
    --------
    >>> from fairvision import metrics
    >>> maps = [[[4, 1], [3, 0]], [[0, 0], [0, 1]]]
    >>> masks = [[[1, 1], [0, 0]], [[1, 1], [0, 0]]]
    >>> for name, values in metrics.localisation(maps, masks).items():
    ...     print(f"{name:26} {values}")
    pointing_game              [1. 0.]
    relevance_mass             [0.625 0.   ]
    relevance_rank             [0.5        0.33333333]
    top_k_intersection         [1. 0.]
    evidence_auc               [0.75 0.25]
    area_weighted_localisation [1.25 0.  ]
    chance_level               [0.5 0.5]
    """
    maps, masks = read_images(maps=maps, masks=masks)
    measures = {
        "pointing_game": _expected_hit,
        "relevance_mass": _mass,
        "relevance_rank": _rank,
        "top_k_intersection": _top_share(k),
        "evidence_auc": Chunk.area_under_curve,
        "area_weighted_localisation": _area_weighted,
        "chance_level": _chance,
    }
    return per_image(maps, masks, part, measures)


def pointing_game(
    maps: Array,
    masks: Array,
    *,
    ties: Literal["expected", "first"] = "expected",
    part: Part = "positive",
) -> Array:
    """Does the largest evidence lie on the person?

    Compare the mean with that of `chance_level`: a map drawn at random hits in proportion to the
    mask's area.

    Parameters
    ----------
    maps, masks, part
        As for `localisation`.
    ties : {"expected", "first"}
        Where several pixels share the maximum, as after nearest-neighbour upsampling: the share of
        them inside, which is the expected hit of one picked at random, or the first in reading
        order.

    Returns
    -------
    (n,) array
        In [0, 1]. NaN for a map without evidence (that is, without positive evidence, unless
        `part` says otherwise) or with a NaN or infinite pixel, for an empty mask, for a mask of
        the whole image, which every map hits, and for a mask with a NaN pixel.

    References
    ----------
    J. Zhang et al., "Top-down Neural Attention by Excitation Backprop", IJCV 2018.
    arXiv:1608.00507.

    Examples
    --------
    >>> from fairvision import metrics
    >>> metrics.pointing_game([[[0, 3], [3, 1]], [[0, 0], [0, 5]]], [[[1, 1], [0, 0]]] * 2)
    array([0.5, 0. ])
    """
    if ties not in ("expected", "first"):
        raise InputError(f"ties must be 'expected' or 'first', not {ties!r}")
    return _single_measure(_expected_hit if ties == "expected" else _first_hit, maps, masks, part)


def relevance_mass(maps: Array, masks: Array, *, part: OneSign = "positive") -> Array:
    """Share of the evidence that lies on the person.

    Parameters
    ----------
    maps, masks
        As for `localisation`.
    part : {"positive", "negative", "absolute"}
        What counts as evidence, as for `localisation`.

    Returns
    -------
    (n,) array
        In [0, 1]; an even map has the `chance_level`. NaN as for `pointing_game`.

    References
    ----------
    L. Arras, A. Osman and W. Samek, "CLEVR-XAI", Information Fusion 2022. arXiv:2003.07258.

    Examples
    --------
    >>> from fairvision import metrics
    >>> metrics.relevance_mass([[[0, 3], [1, -4]]], [[[1, 1], [0, 0]]])
    array([0.75])
    """
    return _single_measure(_mass, maps, masks, _one_sign(part))


def relevance_rank(maps: Array, masks: Array, *, part: Part = "positive") -> Array:
    """Share of the K largest pixels that lie on the person, where K is the person's area.

    Parameters
    ----------
    maps, masks, part
        As for `localisation`.

    Returns
    -------
    (n,) array
        In [0, 1]; 1 if no pixel outside has more evidence than one inside. Where pixels tie for
        the last places, the expected share, if they are filled at random: a map with less positive
        pixels than the person has fills them up with pixels of no evidence. A random map has the
        `chance_level`. NaN as for `pointing_game`.

    References
    ----------
    L. Arras, A. Osman and W. Samek, "CLEVR-XAI", Information Fusion 2022. arXiv:2003.07258.

    Examples
    --------
    >>> from fairvision import metrics
    >>> metrics.relevance_rank([[[4, 1], [3, 0]], [[4, 1], [1, 0]]], [[[1, 1], [0, 0]]] * 2)
    array([0.5 , 0.75])
    """
    return _single_measure(_rank, maps, masks, part)


def top_k_intersection(
    maps: Array, masks: Array, *, k: int | None = None, part: Part = "positive"
) -> Array:
    """Share of the k largest pixels that lie on the person.

    Parameters
    ----------
    maps, masks, part
        As for `localisation`.
    k : int, optional
        Number of pixels, at most that of the image. By default 1000, but no more than a
        fiftieth of the image, and at least 1.

    Returns
    -------
    (n,) array
        In [0, 1], and at most area / k: on a person smaller than k no map reaches 1. Ties as for
        `relevance_rank`. A random map has the `chance_level`. NaN as for `pointing_game`.

    References
    ----------
    J. Theiner, E. Müller-Budack and R. Ewerth, "Interpretable Semantic Photo Geolocation", WACV
    2022. arXiv:2104.14995.

    Examples
    --------
    >>> from fairvision import metrics
    >>> metrics.top_k_intersection([[[4, 1], [3, 0]]], [[[1, 1], [0, 0]]], k=3)
    array([0.66666667])
    """
    return _single_measure(_top_share(k), maps, masks, part)


def evidence_auc(maps: Array, masks: Array, *, part: Part = "positive") -> Array:
    """Area under the ROC curve of the map as a classifier of the person's pixels.

    That is how often a pixel on the person has more evidence than one beside it, ties counted
    half (Mann-Whitney).

    Parameters
    ----------
    maps, masks, part
        As for `localisation`.

    Returns
    -------
    (n,) array
        In [0, 1]. A random map has 0.5, whatever the area. NaN as for `pointing_game`.

    References
    ----------
    T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 2006, section 7.

    Examples
    --------
    >>> from fairvision import metrics
    >>> metrics.evidence_auc([[[4, 1], [3, 0]], [[4, 1], [1, 0]]], [[[1, 1], [0, 0]]] * 2)
    array([0.75 , 0.875])
    """
    return _single_measure(Chunk.area_under_curve, maps, masks, part)


def area_weighted_localisation(maps: Array, masks: Array, *, part: OneSign = "positive") -> Array:
    """Share of the evidence on the person over the person's share of the image.

    `relevance_mass` / `chance_level`: how many times denser the evidence is on the person than on
    the whole image.

    Parameters
    ----------
    maps, masks
        As for `localisation`.
    part : {"positive", "negative", "absolute"}
        What counts as evidence, as for `localisation`.

    Returns
    -------
    (n,) array
        From 0 to 1 / `chance_level`. A random map has 1, whatever the area. NaN as for
        `pointing_game`.

    References
    ----------
    M. Kohlbrenner et al., "Towards best practice in explaining neural network decisions with LRP",
    IJCNN 2020. arXiv:1910.09840.

    Examples
    --------
    >>> from fairvision import metrics
    >>> metrics.area_weighted_localisation([[[6, 1], [1, 2]]], [[[1, 0], [0, 0]]])
    array([2.4])
    """
    return _single_measure(_area_weighted, maps, masks, _one_sign(part))


def chance_level(masks: Array) -> Array:
    """Share of the image that is the person: what a random map scores.

    That holds of `pointing_game`, `relevance_mass`, `relevance_rank` and `top_k_intersection`.
    Chance is 0.5 for `evidence_auc` and 1 for `area_weighted_localisation`.

    Parameters
    ----------
    masks : (n, height, width) bool or numbers
        The person: True, or not 0.

    Returns
    -------
    (n,) array
        In (0, 1). NaN for an empty mask, for a mask of the whole image, on which none of the
        measures is defined, and for a mask with a NaN pixel.

    Examples
    --------
    >>> from fairvision import metrics
    >>> metrics.chance_level([[[1, 0], [0, 0]], [[0, 0], [0, 0]]])
    array([0.25,  nan])
    """
    (masks,) = read_images(masks=masks)
    return per_image(masks, masks, "positive", {"chance": _chance})["chance"]


def _single_measure(
    measure: Callable[[Chunk], Array], maps: Array, masks: Array, part: Part
) -> Array:
    """Return one measure of every image."""
    maps, masks = read_images(maps=maps, masks=masks)
    return per_image(maps, masks, part, {"alone": measure})["alone"]


def _one_sign(part: OneSign) -> OneSign:
    """Raise where evidence of both signs has no share of mass."""
    if part not in get_args(OneSign):
        raise InputError(f"a share of mass is of one sign: {', '.join(get_args(OneSign))}")
    return part


def _expected_hit(chunk: Chunk) -> Array:
    """Return the share of the largest pixels that lie inside."""
    largest = chunk.evidence == chunk.largest[:, None]
    return chunk.ratio(chunk.count(largest & chunk.inside), chunk.count(largest))


def _first_hit(chunk: Chunk) -> Array:
    """Return whether the first of the largest pixels lies inside."""
    first = chunk.xp.argmax(chunk.evidence, axis=1)[:, None]
    hits = chunk.xp.take_along_axis(chunk.inside, first, axis=1)[:, 0]
    return chunk.ratio(hits, chunk.area * 0 + 1)


def _mass(chunk: Chunk) -> Array:
    """Return the share of mass inside; NaN of signed maps."""
    if chunk.part == "signed":
        return chunk.undefined()
    return chunk.ratio(*chunk.masses)


def _area_weighted(chunk: Chunk) -> Array:
    """Return the share of mass over the share of area; NaN of signed maps."""
    if chunk.part == "signed":
        return chunk.undefined()
    inside, overall = chunk.masses
    return chunk.ratio(inside * chunk.pixels, overall * chunk.area)


def _rank(chunk: Chunk) -> Array:
    """Return the share inside of as many largest pixels as the mask has."""
    return chunk.share_of_largest(chunk.area)


def _top_share(k: int | None) -> Callable[[Chunk], Array]:
    """Return the measure of the share of the k largest pixels that lie inside."""

    def share(chunk: Chunk) -> Array:
        largest = max(1, min(1000, chunk.pixels // 50)) if k is None else k
        if not isinstance(largest, (int, np.integer)) or not 1 <= largest <= chunk.pixels:
            raise InputError(
                f"k must be a whole number from 1 to the {chunk.pixels} pixels, not {k}"
            )
        return chunk.share_of_largest(chunk.area * 0 + int(largest))

    return share


def _chance(chunk: Chunk) -> Array:
    """Return the share of the area."""
    return chunk.ratio(chunk.area, chunk.area * 0 + chunk.pixels, chunk.has_mask)
