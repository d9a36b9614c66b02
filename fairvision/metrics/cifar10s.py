"""The bias of Wang et al. (2020): is a class said of one kind of image more than of another?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse

from fairvision.errors import InputError
from fairvision.metrics._engine.arrays import (
    Array,
    Columns,
    Floats,
    Ints,
    as_objects,
    mean_of_defined,
    one_label_each,
    ratio,
    tally,
)
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.clusters import clusters_of
from fairvision.metrics._engine.inputs import (
    as_column,
    check_rows,
    is_table,
    read_groups,
    read_labels,
)
from fairvision.metrics._engine.result import Result, summarise
from fairvision.metrics._engine.rows import Rows


def cifar10s_bias(
    predicted: ArrayLike,
    domains: ArrayLike,
    *,
    images: ArrayLike | None = None,
    **sampling: Unpack[Sampling],
) -> Result:
    """Bias of CIFAR-10S: mean over predicted classes of max(grey, colour)/(grey + colour) − .5.

    Every test image is shown twice, in grey and in colour; grey and colour are the numbers of
    images of each domain that are predicted to be of the class. A model that does not look at the
    domain has 0, whatever its accuracy.

    The domains have any names. With K of them it is the largest share less 1/K, which for two is
    the published measure. It presumes that all domains show the same images: otherwise a class is
    rightly said more often of one domain, and that counts as bias.

    Parameters
    ----------
    predicted : (n,) names or codes
        Predicted classes. None, NaN or -1: unknown, the row takes no part.
    domains : (n,) names or codes
        None, NaN, -1 or "unknown": unknown.
    images : (n,) names or numbers, optional
        Which image a row shows. All rows of an image are drawn together, as versions of one image
        are no independent evidence; without it each row is drawn by itself, and the interval is
        too wide where a model says the same of all versions.
    **sampling
        Rows and interval; see `Sampling`. With `images` there are no `counts`, `weights` and
        `strata`. The domain in which a class is said most is held fixed in the resamples: the
        largest share of a resample would grow with its noise.

    Returns
    -------
    Result
        In [0, 1 − 1/K]; NaN with fewer than two domains, or without predictions. n counts the rows
        used. `pairs`: the bias of each class (`label`), its n predictions, and `domain`, in which
        it is said most. A class that is never predicted (a category of a pandas Categorical) is NaN
        and leaves the mean.

    Raises
    ------
    InputError
        An image is unknown, or shown twice in one domain.

    References
    ----------
    Z. Wang et al., "Towards Fairness in Visual Recognition", CVPR 2020, section 4.
    arXiv:1911.11834.

    Examples
    --------
    Four images; the model takes grey ones for ships.

    >>> from fairvision import metrics
    >>> grey, colour = ["ship", "ship", "ship", "cat"], ["ship", "cat", "cat", "cat"]
    >>> result = metrics.cifar10s_bias(grey + colour, ["grey"] * 4 + ["colour"] * 4)
    >>> float(result)
    0.25
    >>> result.pairs[["label", "value", "n", "domain"]]
      label  value  n  domain
    0   cat   0.25  4  colour
    1  ship   0.25  4    grey
    """
    if is_table("predicted", predicted):
        raise InputError("predicted must hold one class per row, not a table; see metrics.decide")
    columns: Columns = {"predicted": predicted, "domains": domains}
    if images is not None:
        rows, names, kinds, predictions = _by_image(columns, images, sampling)
    else:
        rows = Rows(columns, sampling)
        names, kinds, label, domain = _read(rows)
        predictions = [(label, domain)]
    shape = len(kinds), len(names)
    pairs = sparse.csc_array((len(kinds) * len(names), len(rows.sample.counts)), dtype=np.float32)
    for label, domain in predictions:
        used = (label >= 0) & (domain >= 0)
        pairs = pairs + one_label_each(label).indicator(domain, shape, used)

    images_of = tally(pairs, rows.sample.counts[:, None], shape)[..., 0].sum(axis=0).astype(int)
    most = tally(pairs, rows.sample.base, shape)[..., 0].argmax(axis=0) if kinds else images_of
    every = np.arange(shape[1])

    def statistic(weights: Array) -> Floats:
        if shape[0] < 2:
            return np.full((1 + shape[1], weights.shape[1]), np.nan)
        counts = tally(pairs, weights, shape)
        biases = ratio(counts[most, every], counts.sum(axis=0)) - 1 / shape[0]
        return np.vstack([mean_of_defined(biases), biases])

    return summarise(
        rows.sample,
        statistic,
        int(images_of.sum()),
        "cifar10s_bias",
        pairs={
            "label": as_objects(names),
            "n": images_of,
            "domain": np.where(images_of > 0, as_objects([*kinds, None])[most], None),
        },
        whole=True,
    )


def _read(columns: Mapping[str, Any]) -> tuple[list[Any], list[Any], Ints, Ints]:
    """Return the names of the classes and of the domains, and the codes of each row."""
    names, label = read_labels(predicted=columns["predicted"])
    kinds, domain = read_groups(domains=columns["domains"])
    return names, kinds, label["predicted"].held, domain["domains"]


def _by_image(
    columns: Mapping[str, Any], images: ArrayLike, sampling: Sampling
) -> tuple[Rows, list[Any], list[Any], list[tuple[Ints, Ints]]]:
    """Return images as rows, the names, and class and domain of each row in every domain."""
    for arg in ("counts", "weights", "strata"):
        if sampling.get(arg) is not None:
            raise InputError(f"give {arg} or images, not both")
    names, kinds, label, domain = _read(columns)
    shown = pd.Series(as_column("images", images))
    check_rows(predicted=len(label), domains=len(domain), images=len(shown))
    try:
        image, different = pd.factorize(shown, sort=True)
    except TypeError:
        raise InputError("images must hold names or numbers, one per row") from None
    if (image < 0).any():
        raise InputError(f"images is unknown in row {np.argmax(image < 0)}")
    has_domain = domain >= 0
    wide = np.full((len(kinds), len(different)), -1)
    times = np.bincount(image[has_domain] * len(kinds) + domain[has_domain])
    if (times > 1).any():
        twice = list(different)[int(np.argmax(times > 1)) // len(kinds)]
        raise InputError(f"image {twice} is shown more than once in a domain")
    wide[domain[has_domain], image[has_domain]] = label[has_domain]
    sampling = sampling.copy()
    sampling["cluster"] = clusters_of(sampling.get("cluster"), image, "images")
    rows = Rows({str(kind): wide[kind] for kind in range(len(kinds))}, sampling)
    by_domain = [rows[str(kind)] for kind in range(len(kinds))]
    predictions = [(label, np.full(len(label), kind)) for kind, label in enumerate(by_domain)]
    return rows, names, kinds, predictions
