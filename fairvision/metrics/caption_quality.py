"""How near captions are to what people wrote of the same images: BLEU, CIDEr and ROUGE-L.

As COCO's evaluation defines them (Chen et al., "Microsoft COCO Captions: Data Collection and
Evaluation Server", 2015, arXiv:1504.00325).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any, Unpack

import numpy as np
from scipy import sparse

from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import Array, Floats, ratio, tally
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.ngrams import longest_common
from fairvision.metrics._engine.outcomes import Groups, warn_of_small
from fairvision.metrics._engine.result import Result, summarise
from fairvision.metrics.caption_texts import ORDER, Tokens, Units, read_described

_SIGMA = 6.0  # of CIDEr
_BETA = 1.2  # of ROUGE-L
_SCALE = 10.0  # of CIDEr
_HUGE = (
    1e100  # beyond it, and below its inverse, σ and β change nothing, and their squares are lost
)


def bleu(
    captions: Iterable[Any],
    references: Iterable[Any],
    groups: Groups = None,
    *,
    order: int = ORDER,
    tokens: Tokens = "coco",
    **sampling: Unpack[Sampling],
) -> Result:
    """BLEU of all captions together: how many of their n-grams people's captions hold.

    With m_k the n-grams of k tokens in all captions that a reference of the same image holds (each
    at most as often as the reference that holds it most often), h_k all n-grams of k tokens, c the
    tokens of all captions, and r those of the references that are nearest in length to each (of
    two as near, the shorter),

        BLEU = min(1, exp(1 − r/c)) (Π_k m_k / h_k)^(1/order)

    Not the mean of single captions: it is made of sums over images, of all or of each group.

    Parameters
    ----------
    captions : (n,) texts
        Of the captioner, one per image. None or NaN: unknown, the row takes no part. One without
        tokens holds no n-gram, and counts in r.
    references : (n,) lists of texts, or texts
        What people wrote of each image, any number. A text without tokens is left out; an image
        without references takes no part.
    groups : (n,) names or codes, or a DataFrame or dict of several such columns, optional
        As in `selection_rate`.
    order : int
        The longest n-grams, from 1 to 4; 4 for BLEU-4.
    tokens : {"coco", "words", "characters"} or function
        What a text is cut into. "coco": runs of the letters a to z, digits and apostrophes of the
        lower-case text. "words": runs of letters, digits and apostrophes of any script.
        "characters": single letters and digits, for scripts without spaces. Or a function from a
        text to a list of tokens.
    **sampling
        Rows and interval; see `Sampling`.

    Returns
    -------
    Result
        In [0, 1]. 0 where no n-gram of some length is held, also because all captions are shorter.
        NaN, with n = 0, where no image has both. `pairs` has a row per group.

    Raises
    ------
    InputError
        Captions are not one text per image, references not texts, or an argument is not as
        described.

    Warns
    -----
    FairvisionWarning
        A known group has fewer than 10 images; or texts have letters of other scripts only.

    References
    ----------
    K. Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", ACL 2002,
    section 2.

    Examples
    --------
    >>> from fairvision import metrics
    >>> captions = ["a man rides a red bike", "a dog"]
    >>> references = [["a man rides a bike"], ["a dog"]]
    >>> round(float(metrics.bleu(captions, references, order=2)), 4)
    0.7638
    """
    whole = isinstance(order, Integral) and not isinstance(order, bool)
    if not whole or order not in range(1, ORDER + 1):
        raise InputError(f"order must be a whole number from 1 to {ORDER}, not {shown(order)}")
    return _bleu(read_described(captions, references, groups, tokens, sampling), order)


def cider(
    captions: Iterable[Any],
    references: Iterable[Any],
    groups: Groups = None,
    *,
    sigma: float = _SIGMA,
    tokens: Tokens = "coco",
    **sampling: Unpack[Sampling],
) -> Result:
    """CIDEr: how alike captions are to people's, rare n-grams counting more than common ones.

    An n-gram weighs w = log N − log d, where d of the N images with references have one that holds
    it (1 where none does). With c and r how often caption and reference hold it, l how many tokens
    they have, and sums over the n-grams of k tokens,

        CIDEr_k = exp(−(l_c − l_r)² / 2σ²) Σ w² min(c, r) r / √(Σ w² c² · Σ w² r²)

    The value is ten times the mean over k = 1 to 4, over the references of an image, and over
    images. This is what COCO's evaluation calls CIDEr, and the paper CIDEr-D.

    The weights are those of all images that are given, for every group and in every resample: that
    makes groups and captioners comparable. CIDEr of other sets of images is not.

    Parameters
    ----------
    captions, references, groups, tokens
        As in `bleu`. A caption without tokens has 0.
    sigma : float
        Above 0; how much a difference in length may be, in tokens. `math.inf`: any.
    **sampling
        Rows and interval; see `Sampling`. N and d count images, not their weights.

    Returns
    -------
    Result
        In [0, 10]. NaN, with n = 0, where no image has both, or only one image has references: then
        no n-gram is rarer than another. `pairs` has a row per group.

    Raises
    ------
    InputError
        As `bleu`.

    Warns
    -----
    FairvisionWarning
        As `bleu`.

    References
    ----------
    R. Vedantam, C. L. Zitnick and D. Parikh, "CIDEr: Consensus-based Image Description
    Evaluation", CVPR 2015, sections 3 and 6. arXiv:1411.5726.

    Examples
    --------
    >>> from fairvision import metrics
    >>> references = [["a man rides a bike"], ["a dog sleeps on a bed"]]
    >>> float(metrics.cider(["a man rides a bike", "a cat"], references, replicates=0))
    5.0
    """
    if not isinstance(sigma, Real) or not sigma > 0:
        raise InputError(f"sigma must be a number above 0, not {shown(sigma)}")
    sigma = min(max(float(sigma), 1 / _HUGE), _HUGE)
    return _cider(read_described(captions, references, groups, tokens, sampling), sigma)


def rouge_l(
    captions: Iterable[Any],
    references: Iterable[Any],
    groups: Groups = None,
    *,
    beta: float = _BETA,
    tokens: Tokens = "coco",
    **sampling: Unpack[Sampling],
) -> Result:
    """ROUGE-L: how long the longest subsequence is that captions share with people's.

    With s tokens in the longest common subsequence of a caption of c tokens and a reference of r,
    P the largest s/c and R the largest s/r over the references of an image,

        ROUGE-L = (1 + β²) P R / (R + β² P)

    and its mean over images.

    Parameters
    ----------
    captions, references, groups, tokens
        As in `bleu`. A caption without tokens has 0.
    beta : float
        0 or more; how much more R counts than P. 1.2 as in COCO's evaluation.
    **sampling
        Rows and interval; see `Sampling`.

    Returns
    -------
    Result
        In [0, 1]. NaN, with n = 0, where no image has both. `pairs` has a row per group.

    Raises
    ------
    InputError
        As `bleu`.

    Warns
    -----
    FairvisionWarning
        As `bleu`.

    References
    ----------
    C.-Y. Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", ACL workshop Text
    Summarization Branches Out, 2004, section 3.

    Examples
    --------
    >>> from fairvision import metrics
    >>> result = metrics.rouge_l(["a man rides a bike"], [["a man on a bike", "a bike"]])
    >>> round(float(result), 4)
    0.9071
    """
    if not isinstance(beta, Real) or not 0 <= beta < np.inf:
        raise InputError(f"beta must be a number, 0 or more, not {shown(beta)}")
    beta = min(float(beta), _HUGE)
    return _rouge_l(read_described(captions, references, groups, tokens, sampling), beta)


def caption_metrics(
    captions: Iterable[Any],
    references: Iterable[Any],
    groups: Groups = None,
    *,
    tokens: Tokens = "coco",
    **sampling: Unpack[Sampling],
) -> dict[str, Result]:
    """BLEU-4, CIDEr and ROUGE-L of the same captions, whose texts are read once.

    Parameters
    ----------
    captions, references, groups, tokens
        As in `bleu`.
    **sampling
        Rows and interval; see `Sampling`.

    Returns
    -------
    dict of name to Result
        `bleu`, `cider` and `rouge_l`, as these functions return them.

    Raises
    ------
    InputError
        As `bleu`.

    Warns
    -----
    FairvisionWarning
        As `bleu`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> references = [["a man rides a bike"], ["a dog sleeps on a bed"]]
    >>> results = metrics.caption_metrics(["a man rides a bike", "a dog sleeps"], references)
    >>> {name: round(float(result), 2) for name, result in results.items()}
    {'bleu': 0.69, 'cider': 7.03, 'rouge_l': 0.81}
    """
    units = read_described(captions, references, groups, tokens, sampling)
    return {
        "bleu": _bleu(units, ORDER),
        "cider": _cider(units, _SIGMA),
        "rouge_l": _rouge_l(units, _BETA),
    }


def _bleu(units: Units, order: int) -> Result:
    """Return BLEU of sums over images."""
    described = units.described
    length = described.caption_length[:, None]
    table = np.hstack(
        [
            described.matches(order),
            np.maximum(length - np.arange(order), 0),
            length,
            described.closest_length[:, None],
        ]
    )

    def figure(sums: Floats) -> Floats:
        matches, ngrams = sums[..., :order, :], sums[..., order : 2 * order, :]
        spoken, written = sums[..., -2, :], sums[..., -1, :]
        held = np.nan_to_num(ratio(matches, ngrams)).prod(axis=-2) ** (1 / order)
        short = np.exp(np.minimum(0, 1 - np.nan_to_num(ratio(written, spoken), nan=np.inf)))
        return np.where(written > 0, held * short, np.nan)

    return _of_sums(units, table, figure, "bleu")


def _cider(units: Units, sigma: float) -> Result:
    """Return the mean of CIDEr."""
    described = units.described
    written = int(described.images[described.references > 0].sum())
    if written < 2:
        return _mean(units, np.full(len(described.images), np.nan), "cider")
    of_reference = np.zeros(len(described.image))
    image = np.arange(len(described.image))
    of_image = sparse.csr_array(
        (np.ones(len(image)), (described.image, image)),
        shape=(len(described.images), len(image)),
    )
    for captions, references, both in described.overlaps:
        holds = (of_image @ (references > 0).astype(float)) > 0
        images = np.maximum(1, described.images @ holds.astype(float))
        weight = (np.log(written) - np.log(images)) ** 2
        norm = (captions.power(2) @ weight)[described.image] * (references.power(2) @ weight)
        of_reference += np.nan_to_num(ratio(both.multiply(references) @ weight, np.sqrt(norm)))
    apart = described.caption_length[described.image] - described.reference_length
    of_reference *= np.exp(-(apart**2) / (2 * sigma**2)) / ORDER
    mean = ratio(of_image @ of_reference, described.references)
    return _mean(units, _SCALE * mean, "cider")


def _rouge_l(units: Units, beta: float) -> Result:
    """Return the mean of ROUGE-L."""
    described = units.described
    reference = len(described.images) + np.arange(len(described.image))
    common = longest_common(described.texts, described.image, reference)
    best = {"precision": np.zeros(len(described.images)), "recall": np.zeros(len(described.images))}
    lengths = described.caption_length[described.image], described.reference_length
    for most, length in zip(best.values(), lengths):
        np.maximum.at(most, described.image, np.nan_to_num(ratio(common, length)))
    precision, recall = best.values()
    value = ratio((1 + beta**2) * precision * recall, recall + beta**2 * precision)
    return _mean(units, np.nan_to_num(value), "rouge_l")


def _mean(units: Units, values: Floats, name: str) -> Result:
    """Return the mean of a value of each image; NaN is undefined."""
    table = np.column_stack([values, np.ones(len(values))])
    return _of_sums(units, table, lambda sums: ratio(sums[..., 0, :], sums[..., 1, :]), name)


def _of_sums(units: Units, table: Floats, figure: Callable[[Floats], Floats], name: str) -> Result:
    """Return a figure of sums over images, of all and of each group.

    Parameters
    ----------
    units : the images
    table : (images, numbers)
    figure : maps sums (..., numbers, b) to the figure (..., b)
    name : of the measure
    """
    rows, keep, grouping = units.rows(table)
    numbers = np.asarray(rows["table"], float)
    (unit,) = np.nonzero(keep)
    size = grouping.size, numbers.shape[1]
    part = grouping.code[unit, None] * size[1] + np.arange(size[1])
    sums = sparse.csr_array(
        (numbers[unit].ravel(), (part.ravel(), np.repeat(unit, size[1]))),
        shape=(size[0] * size[1], len(numbers)),
    )

    def statistic(weights: Array) -> Floats:
        of_groups = tally(sums, weights, size)
        overall = figure(of_groups.sum(axis=0))[None]
        return np.vstack([overall, figure(of_groups)]) if grouping.attributes else overall

    keys = grouping.keys(None)
    counts = np.bincount(grouping.code[unit], rows.sample.counts[unit], minlength=size[0])
    pairs = None if keys is None else {**keys, "n": counts.astype(int)}
    warn_of_small({name: pairs})
    return summarise(rows.sample, statistic, rows.count(keep), name, pairs=pairs)
