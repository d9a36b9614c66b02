"""The vocabulary that comes with a captioner of transformers: the tokens of its tokenizer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from fairvision.errors import InputError, check_file, reading
from fairvision.metrics.caption_tokens import plain_text
from fairvision.models.vocabulary import END, LONGEST, SPECIAL, START, Vocabulary, words_of

SHIFT = len(SPECIAL)
"""By how much our numbers of its tokens are larger than its own."""


@dataclass(frozen=True)
class PretrainedVocabulary(Vocabulary):
    """The tokens of a tokenizer, behind those for padding, start, end and unknown words.

    Captions are read as they stand, with capitals and punctuation as the tokenizer takes them.

    Attributes
    ----------
    size : tokens of the network, which may be more than the tokenizer has
    places : tokens of a caption that the network takes at most
    """

    size: int = 0
    places: int = LONGEST

    def __len__(self) -> int:
        return self.size + SHIFT

    @property
    def longest(self) -> int:
        """Tokens of a caption at most, with its start and end."""
        return min(self.places, LONGEST)

    @classmethod
    def open(cls, path: Path, size: int, places: int = LONGEST) -> PretrainedVocabulary:
        """Return the vocabulary of a tokenizer.json; `InputError` where it holds none, or no fit.

        Parameters
        ----------
        path : file that the library tokenizers wrote
        size : tokens of the network
        places : tokens of a caption that the network takes at most
        """
        check_file(path, "a tokenizer")
        text = path.read_text(encoding="utf-8")
        with reading(path, "tokenizer"):
            try:
                tokenizer = Tokenizer.from_str(text)
            except Exception as error:  # the library raises nothing narrower
                raise InputError(f"{path} holds no tokenizer: {error}") from None
        largest = max(tokenizer.get_vocab().values(), default=-1)
        if largest >= size:
            raise InputError(
                f"{path} has a token {largest}, the network {size} tokens: they are of two models"
            )
        tokenizer.no_truncation()
        tokenizer.no_padding()
        # What captions say is text, also where it reads like "[SEP]".
        tokenizer.encode_special_tokens = True
        return cls(tokenizer, size, places)

    def encode_all(self, captions: Sequence[str]) -> list[list[int]]:
        """Return captions as tokens from start to end, cut after `longest`."""
        texts = [" ".join(caption.split()) for caption in captions]
        encoded = self.tokenizer.encode_batch(texts, add_special_tokens=False)
        return [
            [START, *(token + SHIFT for token in one.ids[: self.longest - 2]), END]
            for one in encoded
        ]

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of tokens, without those that are no words."""
        kept = [token - SHIFT for token in tokens if token >= SHIFT]
        return " ".join(str(self.tokenizer.decode(kept, skip_special_tokens=True)).split())

    def token(self, word: str) -> int | None:
        """Return the one token of a word within a caption; None where it is not one token."""
        tokens = self._within(word)
        return tokens[0] if len(tokens) == 1 else None

    @property
    def is_words(self) -> bool:
        """Whether every token is a whole word, which is not known."""
        return False

    def group_tokens(self, words: Mapping[str, Iterable[str]]) -> dict[str, tuple[int, ...]]:
        """Return the first tokens of the words of each group, as they stand after a space.

        A first token of one letter, of a longer word, begins too many others; one that words of
        several groups begin with tells none of them. Both are left out. Words that the tokenizer
        takes apart in other ways with a capital count with it where they are one token then.

        Examples
        --------
        >>> from tokenizers import models, pre_tokenizers
        >>> pieces = ["[UNK]", "a", "man", "woman", "sis", "##ter", "wo"]
        >>> numbers = {piece: i for i, piece in enumerate(pieces)}
        >>> tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
        >>> tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        >>> vocabulary = PretrainedVocabulary(tokenizer, size=7)
        >>> vocabulary.group_tokens({"woman": ["woman", "sister", "lady"], "man": ["man"]})
        {'woman': (7, 8), 'man': (6,)}
        """
        of_groups = {group: self._first_tokens(of) for group, of in words.items()}
        counts = Counter(token for of in of_groups.values() for token in of)
        return {
            group: tuple(sorted(token for token in of if counts[token] == 1))
            for group, of in of_groups.items()
        }

    def word_at(self, tokens: Sequence[int], step: int) -> str:
        """Return the whole word that begins with the token at a step; "" where none does."""
        before, after = (list(words_of(self.decode(tokens[:end]))) for end in (step, step + 1))
        if len(after) <= len(before):
            return ""
        whole = list(words_of(self.decode(tokens)))
        return whole[len(before)] if len(whole) > len(before) else ""

    def _first_tokens(self, words: Iterable[str]) -> set[int]:
        """Return the tokens by which words begin."""
        first = set()
        for word in map(plain_text, words):
            for written in (word, word.capitalize()):
                tokens = self._within(written)
                is_whole = len(tokens) == 1
                is_long = bool(tokens) and len(self.decode(tokens[:1])) > 1
                if is_whole or (is_long and written == word):
                    first.add(tokens[0])
        return first

    def _within(self, word: str) -> list[int]:
        """Return the tokens of a word after another one; none where it is not known."""
        before, both = (
            self.tokenizer.encode(text, add_special_tokens=False).ids for text in ("a", f"a {word}")
        )
        tokens = both[len(before) :] if both[: len(before)] == before else []
        unknown = getattr(self.tokenizer.model, "unk_token", None)
        index = None if unknown is None else self.tokenizer.token_to_id(unknown)
        return [] if index in tokens else [token + SHIFT for token in tokens]
