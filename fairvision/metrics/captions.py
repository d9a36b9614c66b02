"""Which group captions name: right, wrong or neither, after Hendricks et al. (2018)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import rel_entr

from fairvision.errors import InputError, warn_caller
from fairvision.metrics._engine.arrays import Array, Floats, Ints, as_objects, ratio, tally
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.inputs import as_column, read_groups
from fairvision.metrics._engine.result import Result, pair_keys, summarise
from fairvision.metrics._engine.rows import Rows, split_counts
from fairvision.metrics.caption_words import (
    OTHER,
    Words,
    caption_genders,
    read_captions,
    words_for,
)

OUTCOMES = ["correct", "incorrect", OTHER]


@dataclass(frozen=True, eq=False)
class CaptionReport:
    """What captions say of people's groups; from `caption_report`.

    Attributes
    ----------
    error : Result
        Share of all captions that name a wrong group. Its `pairs` are those of
        `outcome_divergence`.
    ratio : Result
        Captions that name the first group, divided by those that name the second.
    ratio_difference : Result
        The same ratio of the true groups, minus `ratio`.
    outcomes : DataFrame
        A row per true group: its number of images `n`, the shares `correct`, `incorrect` and
        `other`, and the ends of their intervals, `correct_low`, `correct_high` and so on.
    outcome_divergence : Result
        How much the outcomes differ between groups; see `outcome_divergence`.
    """

    error: Result
    ratio: Result
    ratio_difference: Result
    outcomes: pd.DataFrame
    outcome_divergence: Result

    @property
    def figures(self) -> list[Result]:
        """The four figures."""
        return [self.error, self.ratio, self.ratio_difference, self.outcome_divergence]

    def __repr__(self) -> str:
        shares = self.outcomes[["n", *OUTCOMES]].round(3)
        return "\n".join([*map(repr, self.figures), repr(shares)])

    def _repr_html_(self) -> str:
        """Return the figures and the outcomes as HTML tables, for notebooks."""
        rows = [[r.name, r.value, r.low, r.high, r.n] for r in self.figures]
        figures = pd.DataFrame(rows, columns=["figure", "value", "low", "high", "n"])
        return figures.round(4).to_html(index=False) + self.outcomes.round(4).to_html()


def caption_report(
    captions: Iterable[Any],
    groups: ArrayLike,
    *,
    words: Words | None = None,
    ratio_of: Sequence[str] | None = None,
    **sampling: Unpack[Sampling],
) -> CaptionReport:
    """Measure whether captions name the group of the person they describe.

    Each caption names one group, or is "other" (`caption_genders`), and so is correct, incorrect or
    other. The figures of Hendricks et al. (2018): `error`, the share of all captions that name a
    wrong group ("other" is no error); `ratio`, #woman / #man among the captions, and the true ratio
    minus it; `outcome_divergence`. A low error alone says little: a captioner that says "person"
    makes none, and one that names the person rightly may still tell the groups apart by all other
    words (`lic`).

    Parameters
    ----------
    captions : (n,) texts, or lists of texts
        As in `caption_genders`.
    groups : (n,) names
        Perceived groups, as annotated. None, NaN, "unknown" or "other": the row takes no part.
    words : mapping of group to words, optional
        Keyed as `groups` are named. By default the words of `caption_genders`, for groups named
        female and male, woman and man, women and men, girl and boy, or f and m.
    ratio_of : two names of groups, optional
        The ratio is that of the first to the second. By default the groups of `words`, where these
        are two (woman / man, as published); with more than two both ratios are NaN.
    **sampling
        Rows and interval; see `Sampling`.

    Returns
    -------
    CaptionReport
        A figure whose denominator is 0 is NaN. All figures are paired, also with those of another
        captioner on the same rows (`compare`).

    Raises
    ------
    InputError
        There are no words for one of the groups; captions or words are not as in `caption_genders`.

    References
    ----------
    L. A. Hendricks et al., "Women also Snowboard: Overcoming Bias in Captioning Models", ECCV 2018,
    metrics in the section on experiments. arXiv:1803.09797.

    Examples
    --------
    >>> from fairvision import metrics
    >>> captions = ["a woman skis", "a man skis", "a man surfs", "a person surfs"]
    >>> report = metrics.caption_report(captions, ["woman", "woman", "man", "man"], replicates=0)
    >>> report.error
    error = 0.25 [nan, nan] (n = 4)
    >>> float(report.ratio), float(report.ratio_difference)
    (0.5, 0.5)
    >>> report.outcomes[["n", "correct", "incorrect", "other"]]
           n  correct  incorrect  other
    group
    woman  2      0.5        0.5    0.0
    man    2      0.5        0.0    0.5
    """
    texts = as_objects(read_captions("captions", captions))
    also = {name: sampling.get(name) for name in ("counts", "weights", "strata", "cluster")}
    given = {name: as_column(name, of) for name, of in {"groups": groups, **also}.items()}
    columns, times = split_counts({"captions": texts, **given})
    sampling = {**sampling, "counts": times}
    for name in ("weights", "strata", "cluster"):
        sampling[name] = columns.get(name)
    occurring, read = read_groups(groups=columns["groups"])
    kinds = words_for([name for name in occurring if name != OTHER], words)
    names = list(kinds)
    genders = caption_genders(columns["captions"], kinds)
    named = pd.Categorical(genders, [*names, OTHER]).codes.astype(int)
    truth = np.array([names.index(name) if name in names else -1 for name in [*occurring, None]])
    truth = truth[read["groups"]]
    rows = Rows({"captions": named, "groups": truth}, sampling)
    named, truth = rows["captions"], rows["groups"]
    outcome = np.where(named == len(names), 2, (named != truth).astype(int))
    used = (truth >= 0) & (named >= 0)
    error, divergence = _error_and_divergence(rows, np.where(used, truth, -1), outcome, names)
    over, under = _places_of_ratio(names, ratio_of)

    def of(codes: Ints, weights: Array) -> Floats:
        first, second = (weights[used & (codes == code)].sum(axis=0) for code in (over, under))
        return ratio(first, second)

    return CaptionReport(
        error=error,
        ratio=summarise(
            rows.sample,
            lambda weights: of(named, weights),
            rows.count(used & np.isin(named, [over, under])),
            "ratio",
        ),
        ratio_difference=summarise(
            rows.sample,
            lambda weights: of(truth, weights) - of(named, weights),
            rows.count(used),
            "ratio_difference",
        ),
        outcomes=_outcome_table(error.pairs, names),
        outcome_divergence=divergence,
    )


def outcome_divergence(
    truth: ArrayLike,
    predicted: ArrayLike,
    *,
    other: Any = OTHER,
    **sampling: Unpack[Sampling],
) -> Result:
    """Divergence between groups of the shares of correct, incorrect and other predictions.

    The Jensen–Shannon divergence to base 2, not its square root: with p_g the three shares among
    the images of group g, and m their mean over the K groups,

        (1/K) Σ_g KL(p_g ‖ m)

    Every group weighs the same, however many images it has. With two groups it lies between 0 (the
    same shares) and 1 (no outcome in common); with more, up to log2 of the smaller of K and 3.

    It does not say which group fares worse (`pairs` do), and a model that is always wrong has none.
    Shares of few images differ by chance: the value of a model that treats groups alike is above 0
    on average, by about (K − 1) / (K n ln 2) for n images in each group, and so are the replicates:
    the interval never reaches 0. Whether groups differ is to be read from the shares in `pairs`.

    Parameters
    ----------
    truth : (n,) names or codes
        True groups. None, NaN, -1 or "unknown": the row takes no part.
    predicted : (n,) names or codes
        Predicted groups, or `other`. Any group that is not the true one is incorrect.
    other : name or code
        The prediction that stands for none of the groups: a caption that names no gender, or a
        classifier that abstains. None: an unknown prediction is an abstention; otherwise it takes
        no part.
    **sampling
        Rows and interval; see `Sampling`.

    Returns
    -------
    Result
        NaN with fewer than two groups that have images. `pairs`: the share of each outcome
        (`label`) in each group, and n, the group's images; NaN for a group without images, which
        does not enter the value.

    Raises
    ------
    InputError
        `truth` holds `other`.

    Warns
    -----
    FairvisionWarning
        No group that is predicted is one of `truth`: they may be named differently.

    References
    ----------
    L. A. Hendricks et al., "Women also Snowboard: Overcoming Bias in Captioning Models", ECCV 2018,
    metrics in the section on experiments. arXiv:1803.09797.
    J. Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Transactions on Information
    Theory 37, 1991, section 5, for more than two groups.

    Examples
    --------
    >>> from fairvision import metrics
    >>> truth = ["woman"] * 4 + ["man"] * 4
    >>> predicted = ["woman", "woman", "other", "other", "man", "man", "man", "man"]
    >>> result = metrics.outcome_divergence(truth, predicted)
    >>> round(float(result), 4)
    0.3113
    >>> result.pairs[["group", "label", "value", "n"]]
       group      label  value  n
    0    man    correct    1.0  4
    1    man  incorrect    0.0  4
    2    man      other    0.0  4
    3  woman    correct    0.5  4
    4  woman  incorrect    0.0  4
    5  woman      other    0.5  4
    """
    rows = Rows({"truth": truth, "predicted": predicted}, sampling)
    occurring, read = read_groups(truth=rows["truth"], predicted=rows["predicted"])
    true, guess = read["truth"], read["predicted"]
    if other is None or other != other or other == -1:
        abstained, valid = guess < 0, np.ones(len(guess), dtype=bool)
    else:
        abstained, valid = as_objects([*occurring, None])[guess] == other, guess >= 0
    names = [name for name in occurring if name != other]
    _tell_of_other_names(occurring, true, guess, other)
    codes = np.array([names.index(name) if name in names else -2 for name in occurring] + [-1])[
        true
    ]
    if (codes == -2).any():
        raise InputError(
            f"truth holds {other!r}, which stands for no group: choose another `other`, or make "
            "these rows None"
        )
    outcome = np.where(abstained, 2, (guess != true).astype(int))
    return _error_and_divergence(rows, np.where(valid, codes, -1), outcome, names)[1]


def _tell_of_other_names(names: list[Any], true: Ints, guess: Ints, other: Any) -> None:
    """Warn where all is incorrect because truth and predictions name groups differently."""
    in_truth, in_predicted = (
        {names[code] for code in np.unique(codes) if code >= 0} - {other} for codes in (true, guess)
    )
    if len(in_truth) > 1 and len(in_predicted) > 1 and in_truth.isdisjoint(in_predicted):
        listed = ", ".join(sorted(map(str, in_predicted)))
        warn_caller(f"predicted holds none of the groups of truth, so all are incorrect: {listed}")


def _error_and_divergence(
    rows: Rows, truth: Ints, outcome: Ints, names: list[Any]
) -> tuple[Result, Result]:
    """Return error and divergence, with the share of each outcome in each group as pairs.

    Per unit the true group (-1: takes no part) and the outcome, a place in `OUTCOMES`.
    """
    shape = len(names), len(OUTCOMES)
    cell = np.where(truth < 0, -1, truth * shape[1] + outcome)
    member = (cell == np.arange(shape[0] * shape[1])[:, None]).astype(float)
    of_group = (member @ rows.sample.counts).astype(int).reshape(shape).sum(axis=1)

    def images(weights: Array) -> Floats:
        of_each = tally(member, weights, shape).sum(axis=1)
        return np.vstack([of_each.sum(axis=0), of_each.repeat(shape[1], axis=0)])

    def shares_of(counts: Floats) -> Floats:
        return ratio(counts, counts.sum(axis=1, keepdims=True))

    def error(weights: Array) -> Floats:
        counts = tally(member, weights, shape)
        wrong = ratio(counts[:, 1].sum(axis=0), counts.sum(axis=(0, 1)))
        return np.vstack([wrong, *shares_of(counts)])

    def divergence(weights: Array) -> Floats:
        shares = shares_of(tally(member, weights, shape))
        return np.vstack([_divergence(shares[of_group > 0]), *shares])

    pairs = {**pair_keys(names, OUTCOMES), "n": np.repeat(of_group, shape[1])}
    n = int(of_group.sum())
    shares = rows.sample.effective(images)
    wrong: Result = summarise(rows.sample, error, n, "error", pairs=pairs, shares=shares)
    apart: Result = summarise(rows.sample, divergence, n, "outcome_divergence", pairs=pairs)
    return wrong, replace(apart, pairs=wrong.pairs)  # their intervals are those of shares


def _divergence(shares: Floats) -> Floats:
    """Return the Jensen–Shannon divergence, base 2, of shares (groups, outcomes, b)."""
    if len(shares) < 2:
        return np.full(shares.shape[-1], np.nan)
    alike = (shares == shares[:1]).all(axis=(0, 1))  # decided here: sums of logarithms are inexact
    apart = rel_entr(shares, shares.mean(axis=0)).sum(axis=1).mean(axis=0) / np.log(2)
    return np.where(alike, 0.0, np.maximum(apart, 0.0))


def _places_of_ratio(names: list[str], ratio_of: Sequence[str] | None) -> tuple[int, int]:
    """Return the places of the two groups whose ratio is taken; -2 for none."""
    if ratio_of is None:
        return (0, 1) if len(names) == 2 else (-2, -2)
    chosen = list(ratio_of)
    if len(chosen) != 2 or not set(chosen) <= set(names):
        raise InputError(f"ratio_of must be two of {', '.join(names)}, not {ratio_of!r}")
    return names.index(chosen[0]), names.index(chosen[1])


def _outcome_table(pairs: pd.DataFrame | None, names: list[str]) -> pd.DataFrame:
    """Return the shares of outcomes with a row per group."""
    assert pairs is not None
    by_outcome = {
        outcome: pairs[pairs["label"] == outcome].set_index("group") for outcome in OUTCOMES
    }
    table = pd.DataFrame({"n": by_outcome[OTHER]["n"]}, index=pd.Index(names, name="group"))
    for outcome, of in by_outcome.items():
        table[[outcome, f"{outcome}_low", f"{outcome}_high"]] = of[["value", "low", "high"]]
    return table
