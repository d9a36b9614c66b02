"""Leakage in captioning (LIC) of Hirota et al. (2022)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from fairvision.errors import InputError
from fairvision.metrics._engine.arrays import Bools, Floats, Ints
from fairvision.metrics._engine.attacks import (
    Attack,
    AttackRounds,
    LeakageResult,
    check_attacker,
    draw_rounds,
    share_right,
    untrained_copy,
)
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.inputs import check_rows
from fairvision.metrics.caption_tokens import words_and_letters
from fairvision.metrics.caption_words import (
    MASK,
    Caption,
    Words,
    masker,
    read_captions,
    read_hidden,
)

UNSEEN = "unseenword"  # stands for a word that the model never says
SILENT = "emptycaption"  # stands for a caption without words: attackers need some


@dataclass(frozen=True, eq=False, repr=False)
class LicResult(LeakageResult):
    """A result of `lic`: a `LeakageResult`, with `rounds` and `std`.

    Attributes
    ----------
    chance : float
        What LIC_M and LIC_D are for captions that tell nothing: 1/K² with K groups. NaN for LIC.
    model, human : LicResult or None
        LIC_M and LIC_D, where the result is LIC. Without human captions it is LIC_M itself, and
        `human` is None.
    """

    human: LicResult | None = None


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
    from the captions of as many images of each group, and guesses it from captions it has not
    seen. With p the probability it gives to the true group,

        LIC_M = mean over the test captions of p · 1[the true group is the most probable]

    LIC_D is the same for captions that people wrote of the same images, and LIC = LIC_M − LIC_D:
    positive where the model's captions tell more than people's. Published figures are 100 times as
    large.

    Captions that tell nothing have a LIC_M of about 1/K² with K groups, not 0; an attacker that is
    surer than it is right, as most neural networks are, has more. So LIC_M and LIC of different
    attackers cannot be compared. LIC does not say which group fares worse, nor whether the group
    is named rightly (`caption_report` does): a model that errs less may leak more.

    Parameters
    ----------
    captions : (n,) texts, or lists of texts
        Of the model. Where an image has several, each round draws one. None or NaN: unknown, the
        row takes no part.
    groups : (n,) names or codes
        None, NaN, -1 or "unknown": the row takes no part.
    human_captions : (n,) texts, or lists of texts, optional
        That people wrote of the same images. Each round draws one for each image, so that both
        attackers learn from as many. An image without takes no part. By default there are none,
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
        Each has its own images for training and test, its own attacker, and its own seed.
    test_size : float
        Share of the images of the smallest group that is tested in each round; as many of every
        group are. The rest of the smallest group, and as many of every other, are for training.
    **sampling
        The interval; see `Sampling`, without `counts` and `weights`. `seed` also draws the rounds.

    Returns
    -------
    LicResult
        LIC in [−1, 1], or LIC_M in [0, 1]; the mean over `rounds`, with `std`, `model` (LIC_M) and
        `human` (LIC_D). NaN with fewer than two groups, or where one has fewer than two images.
        `pairs` has the figure of each group. n counts the images that were tested in some round.
        In the interval tested images are drawn again; attackers are not trained again.

    Raises
    ------
    InputError
        The attacker has no `predict_proba`, or an argument is not as described.

    Warns
    -----
    FairvisionWarning
        Fewer than 10 images of each group are learned from, or tested, in a round.

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
    read = {"captions": read_captions("captions", captions)}
    if human_captions is not None:
        read["human_captions"] = read_captions("human_captions", human_captions)
    valid = np.ones(check_rows(**read, groups=groups), dtype=bool)
    for of_source in read.values():
        valid &= np.array([caption is not None for caption in of_source], dtype=bool)
    attack: Attack = {
        **sampling,
        "attacker": _text_attacker(attacker),
        "rounds": rounds,
        "test_size": test_size,
    }
    drawn = draw_rounds(groups, None, valid, attack)
    hidden = read_hidden(words)
    texts = [_masked_texts(of_source, drawn.codes >= 0, hidden) for of_source in read.values()]
    if match_vocabulary:
        vocabulary = {word for several in texts[0] for text in several for word in text.split()}
        texts[1:] = [_hide_unseen_words(of_source, vocabulary) for of_source in texts[1:]]
    scores = [_scores(drawn, of_source, source) for source, of_source in enumerate(texts)]
    model = _result(drawn.result("lic_model", scores[0]))
    if len(scores) == 1:
        return _result(model, model=model)
    human = _result(drawn.result("lic_human", scores[1]))
    return _result(drawn.result("lic", *scores), model=model, human=human)


def _result(result: LeakageResult, **more: Any) -> LicResult:
    """Return a result of leakage as one of LIC, with the chance of p times right."""
    parts = {part.name: getattr(result, part.name) for part in fields(LeakageResult)}
    chance = result.chance if isinstance(result, LicResult) else result.chance**2
    return LicResult(**{**parts, "chance": chance, **more})


def _masked_texts(captions: list[Caption], valid: Bools, hidden: frozenset[str]) -> list[list[str]]:
    """Return the masked texts of each image, none where it takes no part."""
    texts, mask = [], masker(hidden)
    for caption, used in zip(captions, valid):
        several = [caption] if isinstance(caption, str) else caption
        words = [words_and_letters(mask(one)) for one in several or ()] if used else []
        texts.append([" ".join(text) or SILENT for text in words])
    return texts


def _hide_unseen_words(texts: list[list[str]], vocabulary: set[str]) -> list[list[str]]:
    """Return texts in which the words that the model never says are one token."""
    kept = vocabulary | {MASK, SILENT}
    return [
        [" ".join(w if w in kept else UNSEEN for w in text.split()) for text in several]
        for several in texts
    ]


def _draw_text(texts: list[str], random: np.random.Generator) -> str:
    """Return one of several texts, drawn if there are several."""
    if len(texts) > 1:
        return texts[random.integers(len(texts))]
    return texts[0] if texts else SILENT


def _text_attacker(attacker: Any) -> Any:
    """Return an estimator that is given texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline, make_pipeline

    check_attacker(attacker)
    if attacker is not None and not hasattr(attacker, "predict_proba"):
        raise InputError(f"the attacker must have predict_proba, which {attacker!r} has not")
    if isinstance(attacker, Pipeline):
        return attacker
    words = TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True)
    return make_pipeline(words, LogisticRegression(max_iter=1000) if attacker is None else attacker)


def _scores(drawn: AttackRounds, texts: list[list[str]], source: int) -> Floats:
    """Return the probability of the true group, 0 where another is more probable.

    (rounds, rows), NaN where not tested. Each round shows one text of each image.
    """

    def score(number: int, target: Ints, train: Ints, test: Ints) -> Floats:
        random = np.random.default_rng([drawn.seed, number, 1, source])
        shown = [_draw_text(several, random) for several in texts]
        attacker = untrained_copy(drawn.attacker, drawn.seed + number)
        attacker.fit([shown[row] for row in train], target[train])
        guess = np.asarray(attacker.predict_proba([shown[row] for row in test]))
        if guess.shape != (len(test), target.max() + 1):
            raise InputError("the attacker must give one probability per text and group")
        of_truth: Floats = guess[np.arange(len(test)), target[test]]
        return of_truth * share_right(guess, target[test])

    return drawn.scores(score)
