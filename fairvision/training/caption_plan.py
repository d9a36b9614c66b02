"""What is decided before a captioner is trained: which images, whose words, which vocabulary."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fairvision.core.suggestions import did_you_mean
from fairvision.core.word_files import read_words
from fairvision.datasets import Dataset
from fairvision.datasets.batching import CaptionTokens
from fairvision.datasets.geometry import Geometry
from fairvision.errors import FairvisionWarning, InputError
from fairvision.metrics.caption_tokens import words_and_letters
from fairvision.metrics.caption_words import GENDER_WORDS, words_for
from fairvision.models.adapters.captioner_files import KIND, CaptionerFiles, open_files
from fairvision.models.vocabulary import PAD, Vocabulary
from fairvision.training.settings import Settings


@dataclass(frozen=True)
class CaptionPlan:
    """How captions are learnt.

    Attributes
    ----------
    vocabulary : of the training captions
    decoder : what writes
    attribute : whose groups the words name; None where that is no attribute of the dataset
    words : those of each group
    longest : tokens of a training caption at most, with its start and end
    pretrained : what the folder says of a captioner of transformers that learns on; None of others
    """

    vocabulary: Vocabulary
    decoder: str
    attribute: str | None
    words: Mapping[str, Collection[str]]
    longest: int
    pretrained: CaptionerFiles | None = None

    def as_json(self) -> Mapping[str, Any]:
        """Return what config.json says of it."""
        return {
            "decoder": self.decoder,
            "vocabulary": self._kind,
            "tokens": len(self.vocabulary),
            "attribute": self.attribute,
            "words": {group: sorted(of_group) for group, of_group in self.words.items()},
            "longest": self.longest,
        }

    @property
    def geometry(self) -> Geometry | None:
        """How images become squares; None: whole, at the size that is asked for."""
        return None if self.pretrained is None else self.pretrained.geometry

    @property
    def _kind(self) -> str:
        """What the tokens are."""
        if self.pretrained is not None:
            return "its own"
        return "words" if self.vocabulary.is_words else "subwords"


def check_captions(dataset: Dataset) -> None:
    """Warn of how many images, of which captions could be learnt, have none.

    Raises
    ------
    InputError
        If no training image has any.
    """
    has_any = np.array([bool(captions) for captions in dataset.captions])
    training = (dataset.samples["split"] == "train").to_numpy(bool)
    if not (has_any & training).any():
        raise InputError(
            f"{dataset.root} has no captions of training pictures: a captioner learns from a "
            "column 'captions' (see `fairvision data captions --help`)"
        )
    learning = training | (dataset.samples["split"] == "val").to_numpy(bool)
    if lacking := int((learning & ~has_any).sum()):
        warnings.warn(
            f"{lacking} of {int(learning.sum())} pictures of the splits train and val have no "
            "captions: they take no part",
            FairvisionWarning,
            stacklevel=5,
        )


def captioned(dataset: Dataset) -> Dataset:
    """Return the images that have captions."""
    return dataset.rows(np.flatnonzero([bool(captions) for captions in dataset.captions]))


def make_caption_plan(dataset: Dataset, settings: Settings) -> CaptionPlan:
    """Return how the captions of a dataset are learnt.

    Parameters
    ----------
    dataset : its images with captions
    settings : those of the training

    Raises
    ------
    InputError
        If the words of groups cannot be used.
    """
    captions = [caption for of_image in dataset.split("train").captions for caption in of_image]
    attribute, words = _words(dataset, captions, settings)
    named = [word for of_group in words.values() for word in of_group]
    pretrained, vocabulary = _opened(captions, named, settings)
    lengths = [len(encoded) for encoded in vocabulary.encode_all(captions)]
    longest = vocabulary.longest
    if cut := sum(length >= longest for length in lengths):
        warnings.warn(
            f"{cut} of {len(captions)} training captions have {longest - 2} words or more, which "
            "is where captions are cut",
            FairvisionWarning,
            stacklevel=4,
        )
    absent = [group for group, of in vocabulary.group_tokens(words).items() if not of]
    if absent:
        who = "no training caption names" if pretrained is None else "the tokenizer does not know"
        warnings.warn(
            f"{who} {absent[0]!r} by a word of it: {', '.join(sorted(words[absent[0]]))}",
            FairvisionWarning,
            stacklevel=4,
        )
    decoder = settings.decoder if pretrained is None else pretrained.architecture.name
    return CaptionPlan(vocabulary, decoder, attribute, words, max(lengths), pretrained)


def _opened(
    captions: Collection[str], named: Collection[str], settings: Settings
) -> tuple[CaptionerFiles | None, Vocabulary]:
    """Return what a captioner of transformers is made of, if one is to learn, and the vocabulary.

    Parameters
    ----------
    captions : of the training images
    named : the words that name a group
    settings : those of the training
    """
    if not settings.model.startswith(KIND):
        return None, Vocabulary.learn(captions, kind=settings.vocabulary, whole=named)
    files, vocabulary = open_files(settings.model)
    if settings.weights is not None:
        raise InputError(f"--weights is not for {settings.model}: its weights lie in its folder")
    if settings.size not in (None, files.geometry.size):
        raise InputError(
            f"{settings.model} takes pictures of {files.geometry.size} pixels, not "
            f"{settings.size}: leave --size out"
        )
    return files, vocabulary


def _words(
    dataset: Dataset, captions: Collection[str], settings: Settings
) -> tuple[str | None, Mapping[str, Collection[str]]]:
    """Return the attribute that captions name, if it is one of the dataset, and the groups' words.

    By default those of a gender. Where an attribute has other groups, their names are the words,
    if captions use them.
    """
    chosen = [*settings.attribute] or [*dataset.attributes]
    for name in chosen:
        if name not in dataset.attributes:
            hint = did_you_mean(name, dataset.attributes)
            raise InputError(f"{dataset.root} has no attribute {name!r}{hint}")
    if settings.words is not None:
        given = settings.words
        words = given if isinstance(given, Mapping) else read_words(Path(given))
        checked = {group: sorted(of) for group, of in words_for([], words).items()}
        if len(checked) < 2:
            raise InputError("--words has the words of one group: two are the least")
        of_groups = [name for name in chosen if {*dataset.attributes[name]} <= {*checked}]
        return (of_groups[0] if of_groups else None), checked
    used = {word for caption in captions for word in words_and_letters(caption)}
    for name in chosen:
        groups = dataset.attributes[name]
        try:
            of_gender = words_for(groups, None)
        except InputError:
            if {group.lower() for group in groups} <= used:
                return name, {group: [group.lower()] for group in groups}
        else:
            return name, {group: sorted(of_gender[group]) for group in groups}
    if chosen and settings.attribute:
        raise InputError(
            f"how captions name the groups of {chosen[0]!r} is not known: say it by "
            '--words, {"group": ["word", …], …}'
        )
    return None, {group: sorted(of) for group, of in GENDER_WORDS.items()}


class EncodedCaptions:
    """The captions of the images of a split as tokens.

    Parameters
    ----------
    captions : those of each image
    vocabulary : of the tokens
    seed : draws with which caption of an image `take` begins, where it takes some in turns

    Examples
    --------
    >>> words = Vocabulary.learn(["a man", "a dog"])
    >>> encoded = EncodedCaptions([("a man", "a"), (), ("a dog",)], words)
    >>> encoded.take(np.array([2, 0])).tokens
    tensor([[1, 4, 5, 2],
            [1, 4, 6, 2],
            [1, 4, 2, 0]])
    >>> encoded.take(np.array([2, 0])).of
    tensor([0, 1, 1])
    """

    def __init__(
        self, captions: Sequence[tuple[str, ...]], vocabulary: Vocabulary, *, seed: int = 0
    ):
        encoded = vocabulary.encode_all([one for of_image in captions for one in of_image])
        self._tokens = [np.array(one, dtype=np.int32) for one in encoded]
        self._counts = np.array([len(of_image) for of_image in captions], dtype=np.int64)
        self._starts = np.cumsum(self._counts) - self._counts
        self._first = (np.random.default_rng(seed).random(len(captions)) * self._counts).astype(int)

    def take(
        self,
        rows: npt.NDArray[np.int64],
        device: torch.device | str = "cpu",
        *,
        most: int | None = None,
        turn: int = 0,
    ) -> CaptionTokens:
        """Return captions of some images, on a device.

        Parameters
        ----------
        rows, device : of which images, and where
        most : captions of an image at most; None: all
        turn : how often that many were taken before; those that follow have their turn
        """
        counts = self._counts[rows]
        taken = counts if most is None else np.minimum(counts, most)
        of = np.repeat(np.arange(len(rows)), taken)
        place = np.arange(len(of)) - np.repeat(np.cumsum(taken) - taken, taken)
        if most is not None:
            place = (self._first[rows][of] + turn * most + place) % counts[of]
        chosen = [self._tokens[index] for index in self._starts[rows][of] + place]
        width = max(map(len, chosen), default=2)
        tokens = np.full((len(chosen), width), PAD, dtype=np.int64)
        for i, one in enumerate(chosen):
            tokens[i, : len(one)] = one
        return CaptionTokens(torch.from_numpy(tokens).to(device), torch.from_numpy(of).to(device))
