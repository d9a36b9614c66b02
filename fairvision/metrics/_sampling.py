"""The keywords that all measures share: what a row stands for, and how rows are drawn again."""

from __future__ import annotations

from typing import Literal, TypedDict

from numpy.typing import ArrayLike


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
    strata : (n,) names or codes, optional
        Rows are drawn again within each stratum, so that strata keep their sizes. An unknown one is
        a stratum of its own.
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
    strata: ArrayLike | None
    counts: ArrayLike | None
    weights: ArrayLike | None
