"""What nobody annotated: parts of the images, or words of captions, where errors are frequent.

They are looked for in one half of the images, and confirmed in the other: hypotheses, not findings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairvision.errors import InputError, warn_caller
from fairvision.metrics._engine.arrays import Bools, Floats, Ints
from fairvision.metrics._engine.clusters import cluster_codes
from fairvision.metrics._engine.inputs import as_column, check_rows, read_values, to_numpy_or_pandas
from fairvision.metrics._engine.joint import corrected
from fairvision.metrics.caption_tokens import split_words
from fairvision.metrics.caption_words import read_captions
from fairvision.schema import UNKNOWN

_DIMENSIONS = 24  # of the features, at most, that a mixture is fitted to
_WEIGHT = 1.0  # of errors, labels and answers beside features, in standard deviations of these
_FEWEST = 10  # images of a slice, in either half
_PER_SLICE = 50  # images that are looked at for each slice, at least
_ALPHA = 0.05
_FLOOR = 0.1  # of variances in the mixture, so that no part is of errors alone


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """Parts of the images where errors are frequent, and whether other images confirm it.

    Attributes
    ----------
    table : DataFrame
        A row for each, the smallest p first: its name (`slice` or `word`); `n_seen`, `error_seen`,
        in the images in which it was looked for; `n`, `error`, `low`, `high`, of the other images;
        `error_elsewhere`, of those of them that are not in it; `difference`; `p`, that errors are
        no more frequent in it; `p_holm`, corrected by the number of rows; `confirmed`.
    members : (rows, n) bool
        Which images are in each.
    held_out : (n,) bool
        The images that `n` and all after it in the table are of.
    """

    table: pd.DataFrame
    members: Bools
    held_out: Bools

    @property
    def confirmed(self) -> pd.DataFrame:
        """The rows of the table that are confirmed."""
        return self.table[self.table["confirmed"]]


def error_slices(
    features: ArrayLike,
    errors: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    predicted: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    slices: int = 25,
    most: int = 10,
    confidence: float = 0.95,
    seed: int = 0,
) -> Hypotheses:
    """Look for groups of images that look alike to a model and are often answered wrong.

    A mixture of Gaussians is fitted to one half of the images: to the principal components of their
    features, and beside these to errors, labels and answers, so that its parts are alike in what is
    wrong with them, too. Its parts are then told by the features alone: otherwise errors would
    confirm themselves. Those with more errors than the rest are offered, and in the other half
    tested against the rest (Fisher's exact test, one-sided, corrected by Holm).

    A confirmed slice is a hypothesis about what its images have in common, which somebody has to
    look at; that none is confirmed does not say that there is none.

    Parameters
    ----------
    features : (n, width) numbers
        Of any network, of the model itself or another one.
    errors : (n,) numbers or booleans
        0 or 1. NaN: not known, takes no part; neither do images with features that are not finite.
    labels, predicted : (n,) names or codes, optional
        What is true, and what was answered: slices are more alike in these.
    cluster : (n,) names or codes, optional
        Images of one person, say: they are in the same half, and the test is of clusters.
    slices : int
        Parts of the mixture, at most; fewer of few images.
    most : int
        Slices that are offered, at most.
    confidence : float
        Of the intervals of Clopper and Pearson, in the other half; of clusters normal ones.
    seed : int
        Of the halves and the mixture.

    Returns
    -------
    Hypotheses
        Without rows where nothing is offered, as without errors. Warns of fewer than 200 images.

    Raises
    ------
    InputError
        Arrays do not fit together, or errors are not 0 and 1.

    References
    ----------
    S. Eyuboglu et al., "Domino: Discovering Systematic Errors with Cross-Modal Embeddings", ICLR
    2022 (arXiv 2203.14960), section 4: the error-aware mixture, here as Gaussians of all columns.
    Held-out confirmation is ours.

    Examples
    --------
    >>> import numpy as np
    >>> from fairvision import metrics
    >>> random = np.random.default_rng(0)
    >>> features = random.normal(size=(2000, 8))
    >>> features[:150] += 3
    >>> errors = random.random(2000) < np.where(np.arange(2000) < 150, 0.5, 0.1)
    >>> slices = metrics.error_slices(features, errors)
    >>> inside = slices.members[slices.table["confirmed"]].any(axis=0)
    >>> len(slices.confirmed) > 0, bool(inside[:150].sum() > 0.9 * inside.sum())
    (True, True)
    """
    table = np.asarray(to_numpy_or_pandas(features))
    if table.ndim != 2 or table.dtype.kind not in "biuf":
        raise InputError(f"features must hold numbers, images × width, not shape {table.shape}")
    table = table.astype(float)
    wrong = _read_errors(errors, features=table)
    if slices < 1 or most < 1:
        raise InputError("slices and most must be 1 or more")
    usable = ~np.isnan(wrong) & np.isfinite(table).all(axis=1)
    groups = _clusters(cluster, len(wrong))
    held_out = _second_half(wrong, usable, groups, seed)
    seen = usable & ~held_out
    parts = min(slices, int(seen.sum()) // _PER_SLICE)
    if parts < 2 or not 0 < np.nansum(wrong[seen]) < seen.sum():
        warn_caller(f"too few images, or errors, to look for slices: {int(usable.sum())} images")
        return _tested(np.empty((0, len(wrong)), bool), [], "slice", wrong, held_out, usable)
    beside = [
        wrong[:, None],
        *(
            _indicators(of, name, len(wrong))
            for name, of in (("labels", labels), ("predicted", predicted))
            if of is not None
        ),
    ]
    part = _parts(table, np.hstack(beside), usable, seen, parts, seed)
    members = (part == np.arange(parts)[:, None]) & usable
    members = members[_offered(members, wrong, seen, held_out, most)]
    names = [str(i + 1) for i in range(len(members))]
    return _tested(members, names, "slice", wrong, held_out, usable, groups, confidence)


def error_words(
    captions: Sequence[str] | Sequence[Sequence[str]],
    errors: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    words: Callable[[str], Sequence[str]] = split_words,
    most: int = 20,
    confidence: float = 0.95,
    seed: int = 0,
) -> Hypotheses:
    """Look for words that captions of wrongly answered images hold more often than others do.

    Words of one half of the images are ordered by Fisher's exact test, and those with more errors
    than the rest tested in the other half, as for `error_slices`.

    Parameters
    ----------
    captions : (n,) texts, or lists of texts
        That people wrote of the images.
    errors : (n,) numbers or booleans
        0 or 1. NaN: not known, takes no part.
    cluster : (n,) names or codes, optional
        Images of one person, say: they are in the same half, and the test is of clusters.
    words : function, optional
        From a text to its words.
    most : int
        Words that are offered, at most.
    confidence, seed : as for `error_slices`

    Returns
    -------
    Hypotheses
        Of words in 10 images or more, in either half.

    Raises
    ------
    InputError
        Arrays do not fit together, or errors are not 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fairvision import metrics
    >>> random = np.random.default_rng(0)
    >>> with_umbrella = random.random(1000) < 0.1
    >>> errors = random.random(1000) < np.where(with_umbrella, 0.5, 0.1)
    >>> captions = np.where(with_umbrella, "a man under an umbrella", "a man on a street")
    >>> list(metrics.error_words(captions, errors).confirmed["word"])
    ['an', 'umbrella', 'under']
    """
    texts = read_captions("captions", captions)
    wrong = _read_errors(errors, captions=texts)
    if most < 1:
        raise InputError("most must be 1 or more")
    usable = ~np.isnan(wrong)
    groups = _clusters(cluster, len(wrong))
    held_out = _second_half(wrong, usable, groups, seed)
    of_word: dict[str, set[int]] = {}
    for image, given in enumerate(texts):
        every = (given,) if isinstance(given, str) else given or ()
        for word in {word for text in every for word in words(text)}:
            of_word.setdefault(word, set()).add(image)
    frequent = sorted(word for word, images in of_word.items() if len(images) >= 2 * _FEWEST)
    members = np.zeros((len(frequent), len(wrong)), bool)
    for row, word in enumerate(frequent):
        members[row, list(of_word[word])] = True
    members &= usable
    chosen = _offered(members, wrong, usable & ~held_out, held_out & usable, most)
    names = [frequent[row] for row in chosen]
    return _tested(members[chosen], names, "word", wrong, held_out, usable, groups, confidence)


def _read_errors(errors: ArrayLike, **others: Any) -> Floats:
    """Return errors (n,), 0, 1 or NaN; raise where they are not, or others have other lengths."""
    wrong = read_values("errors", as_column("errors", errors))
    check_rows(**others, errors=wrong)
    if not np.isin(wrong[~np.isnan(wrong)], (0, 1)).all():
        raise InputError("errors must be 0 or 1, or NaN where not known")
    return wrong


def _clusters(cluster: ArrayLike | None, rows: int) -> Ints | None:
    """Return the cluster of each image as a code, or None."""
    if cluster is None:
        return None
    column = as_column("cluster", cluster)
    check_rows(errors=rows, cluster=column)
    return cluster_codes(column)[0]


def _second_half(wrong: Floats, usable: Bools, cluster: Ints | None, seed: int) -> Bools:
    """Return which images only confirm: half of the wrong and of the right ones, or of clusters."""
    random = np.random.default_rng(seed)
    if cluster is not None:
        half: Bools = (random.permutation(cluster.max(initial=-1) + 1) % 2 == 1)[cluster]
        return half
    order = random.permutation(len(wrong))
    order = order[np.argsort(np.where(usable, wrong, 2)[order], kind="stable")]
    half = np.zeros(len(wrong), bool)
    half[order[1::2]] = True
    return half


def _indicators(column: ArrayLike, name: str, rows: int) -> Floats:
    """Return names as columns of 0 and 1, (n, names); unknown ones are 0 in all."""
    values = as_column(name, column)
    check_rows(errors=rows, **{name: values})
    column_of_names = pd.Series(values)
    is_there = ~column_of_names.isin([-1, UNKNOWN])
    return np.asarray(pd.get_dummies(column_of_names.where(is_there)), float)


def _parts(
    features: Floats, beside: Floats, usable: Bools, seen: Bools, parts: int, seed: int
) -> Ints:
    """Return the part of each image by its features, of a mixture that also looked beside them."""
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    spread = features[seen].std(axis=0)
    kept = spread > 0
    if not kept.any():
        return np.zeros(len(features), int)
    scaled = np.where(
        usable[:, None], (features[:, kept] - features[seen][:, kept].mean(axis=0)), 0
    )
    scaled /= spread[kept]
    width = min(_DIMENSIONS, kept.sum(), seen.sum() - 1)
    components = (
        PCA(width, svd_solver="full", random_state=seed).fit(scaled[seen]).transform(scaled)
    )
    components /= components[seen].std()
    mixture = GaussianMixture(
        parts, covariance_type="diag", reg_covar=_FLOOR, random_state=seed, max_iter=200
    )
    mixture.fit(np.hstack([components, _WEIGHT * beside])[seen])
    alone = GaussianMixture(parts, covariance_type="diag")
    alone.weights_ = mixture.weights_
    alone.means_ = mixture.means_[:, :width]
    alone.covariances_ = mixture.covariances_[:, :width]
    alone.precisions_cholesky_ = mixture.precisions_cholesky_[:, :width]
    part: Ints = alone.predict(components)
    return part


def _offered(members: Bools, wrong: Floats, seen: Bools, other: Bools, most: int) -> Ints:
    """Return the rows of members (k, n) that have more errors than the rest, by Fisher's test."""
    from scipy.stats import hypergeom

    of_seen, errors = members & seen, np.nan_to_num(wrong) == 1
    images, mistaken = of_seen.sum(axis=1), (of_seen & errors).sum(axis=1)
    all_images, all_mistaken = seen.sum(), (seen & errors).sum()
    p = hypergeom.sf(mistaken - 1, all_images, all_mistaken, images)
    enough = (images >= _FEWEST) & ((members & other).sum(axis=1) >= _FEWEST)
    above = mistaken * all_images > all_mistaken * images
    rows = np.flatnonzero(enough & above & (images < all_images))
    best: Ints = rows[np.argsort(p[rows], kind="stable")][:most]
    return best


def _tested(
    members: Bools,
    names: Sequence[str],
    kind: str,
    wrong: Floats,
    held_out: Bools,
    usable: Bools,
    cluster: Ints | None = None,
    confidence: float = 0.95,
) -> Hypotheses:
    """Return what the other half says of each part."""
    rows = [
        {
            kind: name,
            "n_seen": int((inside & ~held_out).sum()),
            "error_seen": float(wrong[inside & ~held_out].mean()),
            **_in_other_half(inside, wrong, held_out & usable, cluster, confidence),
        }
        for name, inside in zip(names, members)
    ]
    columns = [kind, "n_seen", "error_seen", *_FIGURES, "p_holm", "confirmed"]
    table = pd.DataFrame(rows, columns=columns[:-2])
    table["p_holm"] = corrected(table["p"].to_numpy(float))
    table["confirmed"] = table["p_holm"] < _ALPHA
    order = np.argsort(table["p"].to_numpy(float), kind="stable")
    return Hypotheses(table.iloc[order].reset_index(drop=True), members[order], held_out & usable)


_FIGURES = ("n", "error", "low", "high", "error_elsewhere", "difference", "p")


def _in_other_half(
    inside: Bools, wrong: Floats, held_out: Bools, cluster: Ints | None, confidence: float
) -> dict[str, float]:
    """Return the errors of a part of the other half beside the rest of it, and a p-value."""
    from scipy.stats import binomtest, fisher_exact

    part, rest = wrong[held_out & inside], wrong[held_out & ~inside]
    k, n, k_rest, n_rest = int(part.sum()), len(part), int(rest.sum()), len(rest)
    interval = binomtest(k, n).proportion_ci(confidence)
    figures = {
        "n": n,
        "error": k / n,
        "low": float(interval.low),
        "high": float(interval.high),
        "error_elsewhere": k_rest / n_rest if n_rest else np.nan,
    }
    figures["difference"] = figures["error"] - figures["error_elsewhere"]
    if cluster is None:
        table = [[k, n - k], [k_rest, n_rest - k_rest]]
        return figures | {"p": float(fisher_exact(table, alternative="greater").pvalue)}
    return figures | _by_clusters(inside[held_out], wrong[held_out], cluster[held_out], confidence)


def _by_clusters(
    inside: Bools, wrong: Floats, cluster: Ints, confidence: float
) -> dict[str, float]:
    """Return the interval and the p-value of a part, with variances between clusters."""
    from scipy.stats import t

    of_part = np.where(inside, wrong - wrong[inside].mean(), 0) / inside.sum()
    others = ~inside
    of_rest = np.where(others, wrong - wrong[others].mean(), 0) / max(1, others.sum())
    errors = [_between(of, cluster) for of in (of_part, of_part - of_rest)]
    part_of = len(np.unique(cluster[inside]))
    if part_of < 2 or not others.any():
        return {"low": np.nan, "high": np.nan, "p": 1.0}
    value, difference = wrong[inside].mean(), wrong[inside].mean() - wrong[others].mean()
    reach = float(t.ppf((1 + confidence) / 2, part_of - 1)) * errors[0]
    return {
        "low": max(0.0, value - reach),
        "high": min(1.0, value + reach),
        "p": float(t.sf(difference / errors[1], part_of - 1)) if errors[1] else 1.0,
    }


def _between(influence: Floats, cluster: Ints) -> float:
    """Return the standard error of a figure by what each image adds to it."""
    sums = np.bincount(np.unique(cluster, return_inverse=True)[1], influence)
    return float(np.sqrt((sums**2).sum() * len(sums) / max(1, len(sums) - 1)))
