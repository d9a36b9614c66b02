"""Captions beside what people wrote of the same images, cut into tokens."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
from scipy import sparse

from fairvision.errors import InputError, shown, warn_caller
from fairvision.metrics._engine.arrays import Bools, Floats, Ints, as_objects
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.inputs import as_column
from fairvision.metrics._engine.ngrams import Texts, maximum_of_rows, ngram_counts
from fairvision.metrics._engine.outcomes import (
    Grouping,
    Groups,
    group_columns,
    read_grouping,
)
from fairvision.metrics._engine.rows import Rows, split_counts
from fairvision.metrics.caption_tokens import WORD_PARTS, coco_tokens, plain_text, split_words
from fairvision.metrics.caption_words import Caption, read_captions

RuleName = Literal["coco", "words", "characters"]
Tokens = RuleName | Callable[[str], Iterable[str]]

ORDER = 4  # the longest n-grams
_PER_ROW = ("counts", "weights", "strata", "cluster")  # keywords of sampling with a value per row


def _characters(text: str) -> list[str]:
    """Return each letter and digit of any script.

    >>> _characters("一只猫, 2只狗")
    ['一', '只', '猫', '2', '只', '狗']
    """
    return [c for c in plain_text(text) if unicodedata.category(c)[0] in WORD_PARTS]


_RULES: dict[str, Callable[[str], list[str]]] = {
    "coco": coco_tokens,
    "words": split_words,
    "characters": _characters,
}


class Overlap(NamedTuple):
    """How often captions and references hold n-grams of one length.

    Attributes
    ----------
    captions : (images, n-grams)
    references : (references, n-grams)
    both : (references, n-grams), the smaller of both counts, of each reference beside the caption
        of its image
    """

    captions: sparse.csr_array
    references: sparse.csr_array
    both: sparse.csr_array


@dataclass(frozen=True, eq=False)
class Described:
    """Captions beside references.

    Attributes
    ----------
    texts : of all images, an empty one where there is none; then of all references
    image : (references,) whose each is
    images : (images,) how many each stands for
    captioned : (images,) bool, where there is a caption, perhaps an empty one
    """

    texts: Texts
    image: Ints
    images: Ints
    captioned: Bools

    @property
    def caption_length(self) -> Ints:
        """Tokens of each caption."""
        return self.texts.length[: len(self.images)]

    @property
    def reference_length(self) -> Ints:
        """Tokens of each reference."""
        return self.texts.length[len(self.images) :]

    @cached_property
    def references(self) -> Ints:
        """How many references each image has."""
        return np.bincount(self.image, minlength=len(self.images))

    @property
    def defined(self) -> Bools:
        """Where there are a caption and a reference."""
        return self.captioned & (self.references > 0)

    @cached_property
    def overlaps(self) -> list[Overlap]:
        """The n-grams of 1 to 4 tokens."""
        overlaps = []
        for counts in ngram_counts(self.texts, ORDER):
            captions, references = counts[: len(self.images)], counts[len(self.images) :]
            both = captions[self.image].minimum(references)
            overlaps.append(Overlap(captions, references, both))
        return overlaps

    @cached_property
    def closest_length(self) -> Ints:
        """Tokens of the reference that is nearest in length to the caption, the shorter of two."""
        apart = np.abs(self.reference_length - self.caption_length[self.image])
        order = np.lexsort((self.reference_length, apart, self.image))
        image, first = np.unique(self.image[order], return_index=True)
        closest = np.zeros(len(self.images), np.int64)
        closest[image] = self.reference_length[order][first]
        return closest

    def matches(self, order: int) -> Floats:
        """Return how many n-grams of each caption its references hold, (images, order).

        Each counts at most as often as in the reference that holds it most often.
        """
        held = np.zeros((len(self.images), order))
        for size, overlap in enumerate(self.overlaps[:order]):
            most = maximum_of_rows(overlap.both, self.image)
            held[:, size] = np.bincount(most.row, most.data, len(self.images))
        return held


class Units(NamedTuple):
    """The images of captions, as they are drawn again."""

    described: Described
    groups: Groups
    columns: dict[str, Any]
    sampling: Sampling

    def rows(self, table: Floats) -> tuple[Rows, Bools, Grouping]:
        """Return numbers of each image (images, numbers) as rows, which take part, and groups.

        NaN is undefined: the image takes no part.
        """
        defined = self.described.defined & ~np.isnan(table).any(axis=1)
        columns = {"table": np.nan_to_num(table), "where": defined, **self.columns}
        rows = Rows(columns, self.sampling)
        keep = rows.mask
        return rows, keep, read_grouping(self.groups, rows, keep)


def read_described(
    captions: Iterable[Any],
    references: Iterable[Any],
    groups: Groups,
    rule: Tokens,
    sampling: Sampling,
) -> Units:
    """Read captions, references and groups; rows that count 0 times are left out."""
    split = _rule(rule)
    read = {
        "captions": as_objects(_one_each(read_captions("captions", captions))),
        "references": as_objects(read_captions("references", references)),
    }
    by_group = group_columns(groups)
    also = {name: sampling.get(name) for name in _PER_ROW}
    given = {name: as_column(name, values) for name, values in {**by_group, **also}.items()}
    columns, times = split_counts({**read, **given})
    texts, written = columns.pop("captions"), columns.pop("references")
    per_row = {name: columns.pop(name) for name in _PER_ROW if name in columns}
    drawing = {name: value for name, value in sampling.items() if name not in _PER_ROW}
    rest = cast(Sampling, {**drawing, **per_row, "counts": times})
    described = _described(texts, written, split, times)
    if rule == "coco":
        _tell_of_scripts([*texts, *chain.from_iterable(map(_several, written))])
    return Units(described, groups, columns, rest)


def _described(
    captions: Sequence[str | None],
    references: Sequence[Caption],
    split: Callable[[str], list[str]],
    times: Ints | None,
) -> Described:
    """Return captions beside references; a reference without tokens is none."""
    of_captions = [[] if text is None else split(text) for text in captions]
    of_images = [[split(text) for text in _several(texts)] for texts in references]
    kept = [[each for each in several if each] for several in of_images]
    return Described(
        Texts.of([*of_captions, *chain.from_iterable(kept)]),
        np.repeat(np.arange(len(kept)), [*map(len, kept)]),
        np.ones(len(kept), np.int64) if times is None else times,
        np.array([text is not None for text in captions], dtype=bool),
    )


def _several(texts: Caption) -> tuple[str, ...]:
    """Return the texts of an image."""
    return () if texts is None else (texts,) if isinstance(texts, str) else texts


def _one_each(captions: list[Caption]) -> list[str | None]:
    """Return one caption of each image, None where unknown."""
    single: list[str | None] = []
    for row, caption in enumerate(captions):
        if isinstance(caption, tuple):
            if len(caption) > 1:
                raise InputError(
                    f"captions must hold one text per image, but row {row} holds {len(caption)}"
                )
            caption = caption[0]
        single.append(caption)
    return single


def check_rule(name: str) -> None:
    """Raise `InputError` unless a name is one of the rules by which texts are cut."""
    if name not in get_args(RuleName):
        raise InputError(
            f"tokens must be one of {', '.join(get_args(RuleName))}, not {shown(name)}"
        )


def _rule(rule: Tokens) -> Callable[[str], list[str]]:
    """Return the function that cuts texts into tokens."""
    if isinstance(rule, str) and rule in _RULES:
        return _RULES[rule]
    if not callable(rule):
        raise InputError(
            f"tokens must be one of {', '.join(_RULES)}, or a function from a text to its tokens, "
            f"not {shown(rule)}"
        )

    def split(text: str) -> list[str]:
        parts = rule(text)
        listed = list(parts) if isinstance(parts, Iterable) and not isinstance(parts, str) else None
        if listed is None or not all(isinstance(token, str) for token in listed):
            raise InputError(f"tokens must return a list of texts, not {shown(parts)}")
        return listed

    return split


def _tell_of_scripts(texts: Sequence[str | None]) -> None:
    """Warn of texts whose letters are all of other scripts: COCO's rule leaves nothing of them."""
    foreign = [text for text in texts if text and not text.isascii()]
    lost = sum(any(map(str.isalpha, text)) and not coco_tokens(text) for text in foreign)
    if lost:
        warn_caller(
            f"{lost} of {len(texts)} captions and references have no letters a to z, so BLEU, "
            "CIDEr and ROUGE-L see nothing of them: give tokens='words' (--tokens words), or "
            "'characters' for scripts without spaces"
        )
