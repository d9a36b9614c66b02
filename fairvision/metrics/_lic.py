"""Leakage in captioning (LIC) of Hirota et al. (2022)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from fairvision.errors import FairvisionWarning, InputError
from fairvision.metrics._bootstrap import ratio
from fairvision.metrics._caption_words import (
    MASK,
    Caption,
    Words,
    read_captions,
    read_hidden,
    tokens,
)
from fairvision.metrics._inputs import check_rows, read_groups
from fairvision.metrics._means import SMALL
from fairvision.metrics._result import Result, summarise
from fairvision.metrics._rows import Rows
from fairvision.metrics._sampling import Sampling

UNSEEN = "unseenword"  # stands for a word that the model never says
SILENT = "emptycaption"  # stands for a caption without words: attackers need some


@dataclass(frozen=True, eq=False, repr=False)
class LicResult(Result):
    """A result of `lic`.

    Attributes
    ----------
    rounds : (rounds,) ndarray
        The figure in each round; their mean is the value.
    model, human : LicResult or None
        LIC_M and LIC_D, where the result is LIC. Without human captions it is LIC_M itself, and
        `human` is None.
    """

    rounds: np.ndarray = field(default_factory=lambda: np.empty(0))
    model: LicResult | None = None
    human: LicResult | None = None

    @property
    def std(self) -> float:
        """Standard deviation over the rounds; NaN with fewer than two."""
        return float(np.std(self.rounds, ddof=1)) if len(self.rounds) > 1 else np.nan

    def __repr__(self) -> str:
        return f"{super().__repr__()}, ± {self.std:.2g} over {len(self.rounds)} rounds"


def lic(
    captions: Iterable[Any],
    groups: ArrayLike,
    *,
    human_captions: Iterable[Any] | None = None,
    words: Words | Iterable[str] | None = None,
    match_vocabulary: bool = True,
    attacker: Any = None,
    rounds: int = 10,
    test_size: float = 0.1,
    **sampling: Unpack[Sampling],
) -> LicResult:
    """Leakage in captioning: how well the rest of a caption tells the group that it hides.

    The words that name a group are masked. In each round a fresh attacker learns to guess the group
    from the captions of as many pictures of each group, and guesses it from captions it has not
    seen. With p the probability it gives to the true group,

        LIC_M = mean over the test captions of p · 1[the true group is the most probable]

    LIC_D is the same for captions that people wrote of the same pictures, and LIC = LIC_M − LIC_D:
    positive where the model's captions tell more than people's. Published figures are 100 times as
    large.

    Captions that tell nothing have a LIC_M of about 1/K² with K groups, not 0; an attacker that is
    surer than it is right, as most neural networks are, has more. So LIC_M and LIC of different
    attackers cannot be compared. LIC does not say which group fares worse, nor whether the group
    is named rightly (`caption_report` does): a model that errs less may leak more.

    Parameters
    ----------
    captions : (n,) texts, or lists of texts
        Of the model. Where a picture has several, each round draws one. None or NaN: unknown, the
        row takes no part.
    groups : (n,) names or codes
        None, NaN, -1 or "unknown": the row takes no part.
    human_captions : (n,) texts, or lists of texts, optional
        That people wrote of the same pictures. Each round draws one for each picture, so that both
        attackers learn from as many. A picture without takes no part. By default there are none,
        and the result is LIC_M.
    words : mapping of group to words, or words, optional
        What to mask; by default what `mask_words` masks.
    match_vocabulary : bool
        Words of people that the model never says are replaced by one token, as in the paper: the
        richer language of people would otherwise tell more. False leaves them.
    attacker : scikit-learn estimator, optional
        With `predict_proba`. A `Pipeline` is given texts, any other estimator their tf-idf of words
        and pairs of words. By default logistic regression on these. It is cloned in each round, and
        its random states are set. (The authors' are an LSTM and BERT.)
    rounds : int
        Each has its own pictures for training and test, its own attacker, and its own seed.
    test_size : float
        Share of the pictures of the smallest group that is tested in each round; as many of every
        group are. The rest of the smallest group, and as many of every other, are for training.
    **sampling
        The interval; see `Sampling`, without `counts` and `weights`. `seed` also draws the rounds.

    Returns
    -------
    LicResult
        LIC in [−1, 1], or LIC_M in [0, 1]; the mean over `rounds`, with `std`, `model` (LIC_M) and
        `human` (LIC_D). NaN with fewer than two groups, or where one has fewer than two pictures.
        `pairs` has the figure of each group. n counts the pictures that were tested in some round.
        In the interval tested pictures are drawn again; attackers are not trained again.

    Raises
    ------
    InputError
        The attacker has no `predict_proba`, or an argument is not as described.

    Warns
    -----
    FairvisionWarning
        Fewer than 10 pictures of each group are tested in a round.

    References
    ----------
    Y. Hirota, Y. Nakashima and N. Garcia, "Quantifying Societal Bias Amplification in Image
    Captioning", CVPR 2022, section on LIC. arXiv:2203.15395.

    Examples
    --------
    Nobody is named, but people who cook are women.

    >>> from fairvision import metrics
    >>> captions = ["a person cooks", "a person works"] * 100
    >>> result = metrics.lic(captions, ["woman", "man"] * 100, human_captions=["a person"] * 200)
    >>> [round(float(r), 2) for r in (result.model, result.human, result)]
    [0.95, 0.25, 0.7]
    """
    if sampling.get("counts") is not None or sampling.get("weights") is not None:
        raise InputError("lic takes neither counts nor weights: attackers learn from single rows")
    if rounds < 1:
        raise InputError(f"rounds must be 1 or more, not {rounds}")
    if not 0 < test_size < 1:
        raise InputError(f"test_size must be between 0 and 1, not {test_size}")
    said = {"captions": read_captions("captions", captions)}
    if human_captions is not None:
        said["human_captions"] = read_captions("human_captions", human_captions)
    names, read = read_groups(groups=groups)
    codes = read["groups"]
    check_rows(**said, groups=codes)
    known = codes >= 0
    for of_source in said.values():
        known &= np.array([caption is not None for caption in of_source], dtype=bool)
    codes = np.where(known, codes, -1)

    hidden = read_hidden(words)
    texts = [_texts(of_source, known, hidden) for of_source in said.values()]
    if match_vocabulary:
        heard = {MASK, SILENT} | {
            word for of_picture in texts[0] for text in of_picture for word in text.split()
        }
        texts[1:] = [_heard(of_source, heard) for of_source in texts[1:]]
    model = _attacked(attacker)
    seed = sampling.get("seed", 0)
    scores, times = np.zeros((len(texts), len(codes))), np.zeros(len(codes))
    of_rounds = np.full((len(texts), rounds), np.nan)
    for number in range(rounds):
        train, test = _split(codes, test_size, np.random.default_rng([seed, number]))
        if not len(test):
            break
        times[test] += 1
        for source, candidates in enumerate(texts):
            random = np.random.default_rng([seed, number, source])
            chosen = [_one_of(several, random) for several in candidates]
            found = _scores(_fresh(model, seed + number), chosen, codes, train, test)
            scores[source, test] += found
            of_rounds[source, number] = found.mean()
    if times.any():
        _warn_of_few(len(test) // len(np.unique(codes[test])))
    return _results(scores, times, codes, of_rounds, names, sampling)


def _texts(captions: list[Caption], known: np.ndarray, hidden: frozenset[str]) -> list[list[str]]:
    """Return the masked texts of each picture, none where it takes no part."""
    read = []
    for caption, used in zip(captions, known):
        several = [caption] if isinstance(caption, str) else caption
        words = [tokens(one) for one in several or ()] if used else []
        masked = [" ".join(MASK if w in hidden else w for w in text) for text in words]
        read.append([text or SILENT for text in masked])
    return read


def _heard(texts: list[list[str]], heard: set[str]) -> list[list[str]]:
    """Return texts in which the words that the model never says are one token."""
    return [
        [" ".join(w if w in heard else UNSEEN for w in text.split()) for text in several]
        for several in texts
    ]


def _one_of(texts: list[str], random: np.random.Generator) -> str:
    if len(texts) > 1:
        return texts[random.integers(len(texts))]
    return texts[0] if texts else SILENT


def _split(
    codes: np.ndarray, test_size: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows for training and test, as many of every group; none if that cannot be."""
    members = [np.flatnonzero(codes == code) for code in np.unique(codes[codes >= 0])]
    smallest = min(map(len, members), default=0)
    if len(members) < 2 or smallest < 2:
        return np.empty(0, int), np.empty(0, int)
    tested = min(max(1, round(test_size * smallest)), smallest - 1)
    drawn = [random.permutation(of_group)[:smallest] for of_group in members]
    test, train = (np.concatenate(part) for part in zip(*(np.split(d, [tested]) for d in drawn)))
    return train, test


def _attacked(attacker: Any) -> Any:
    """Return an estimator that is given texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline, make_pipeline

    if attacker is not None and not hasattr(attacker, "predict_proba"):
        raise InputError(f"the attacker must have predict_proba, which {attacker!r} has not")
    if isinstance(attacker, Pipeline):
        return attacker
    words = TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True)
    return make_pipeline(words, LogisticRegression(max_iter=1000) if attacker is None else attacker)


def _fresh(attacker: Any, seed: int) -> Any:
    """Return an untrained copy of an attacker, with its own random state."""
    from sklearn.base import clone

    fresh = clone(attacker)
    states = [name for name in fresh.get_params() if name.endswith("random_state")]
    return fresh.set_params(**dict.fromkeys(states, seed))


def _scores(
    attacker: Any, texts: list[str], codes: np.ndarray, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Return the probability of the true group, 0 where another is more probable, (test,).

    A tie is right in part, so that the order of groups decides nothing.
    """
    groups, code = np.unique(codes[train], return_inverse=True)
    attacker.fit([texts[row] for row in train], code)
    probabilities = np.asarray(attacker.predict_proba([texts[row] for row in test]))
    if probabilities.shape != (len(test), len(groups)):
        raise InputError("the attacker must give one probability per text and group")
    true = np.searchsorted(groups, codes[test])
    best = probabilities == probabilities.max(axis=1, keepdims=True)
    right = best / best.sum(axis=1, keepdims=True)
    return (probabilities * right)[np.arange(len(test)), true]


def _results(
    scores: np.ndarray,
    times: np.ndarray,
    codes: np.ndarray,
    of_rounds: np.ndarray,
    names: list[Any],
    sampling: Sampling,
) -> LicResult:
    """Make the results of each picture's sums over rounds, (sources, rows), and times tested."""
    columns = {"groups": np.where(times > 0, codes, -1), "times": times, "captions": scores[0]}
    rows = Rows({**columns, "human_captions": scores[1] if len(scores) > 1 else None}, sampling)
    member = (rows["groups"] == np.arange(len(names))[:, None]).astype(float)
    of_group = (member @ rows.sample.counts).astype(int)
    present = of_group > 0

    def result(name: str, sums: np.ndarray, of_rounds: np.ndarray, **more: Any) -> LicResult:
        def statistic(weights: np.ndarray) -> np.ndarray:
            means = ratio((member * sums) @ weights, (member * rows["times"]) @ weights)
            value = (
                means[present].mean(axis=0) if present.any() else np.full(means.shape[1:], np.nan)
            )
            return np.vstack([value, means])

        return summarise(
            rows.sample,
            statistic,
            int(of_group.sum()),
            name,
            pairs={"group": np.array(names, dtype=object), "n": of_group},
            kind=LicResult,
            rounds=of_rounds,
            **more,
        )

    model = result("lic_model", rows["captions"], of_rounds[0])
    if len(scores) == 1:
        return replace(model, model=model)
    human = result("lic_human", rows["human_captions"], of_rounds[1])
    change = rows["captions"] - rows["human_captions"]
    return result("lic", change, of_rounds[0] - of_rounds[1], model=model, human=human)


def _warn_of_few(tested: int) -> None:
    if tested < SMALL:
        warnings.warn(
            f"lic tests few captions of each group in a round ({tested}): the figure says little",
            FairvisionWarning,
            stacklevel=3,
        )
