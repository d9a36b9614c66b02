"""The words of captions as numbers, and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from fairvision.core.files import whole_file
from fairvision.errors import InputError, check_file, reading
from fairvision.metrics.caption_tokens import plain_text, split_words

KINDS = ("words", "subwords")
SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")
PAD, START, END, UNKNOWN_WORD = range(len(SPECIAL))
LARGEST = 10_000
LONGEST = 256
"""Tokens of a caption that are learnt and written at most."""

_WHOLE = "\ue000"  # before a word that is one token, which no subword can hold
_AGAIN = "train the run again with --overwrite"


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that a captioner reads and writes.

    Captions are read in lower case, as words of letters, digits and apostrophes; punctuation is
    left out. Tokens are whole "words", or "subwords" (byte-pair encoding), which can write every
    word of every script.

    Attributes
    ----------
    tokenizer : between texts and numbers
    """

    tokenizer: Tokenizer

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size()

    @property
    def longest(self) -> int:
        """Tokens of a caption at most, with its start and end."""
        return LONGEST

    @classmethod
    def learn(
        cls,
        captions: Iterable[str],
        *,
        kind: str = "words",
        size: int = LARGEST,
        least: int = 1,
        whole: Iterable[str] = (),
    ) -> Vocabulary:
        """Return the vocabulary of some captions.

        Parameters
        ----------
        captions : texts
        kind : "words" or "subwords"
        size : largest number of tokens
        least : how often a word must occur, of "words"
        whole : words that are one token in any case, where they occur: those that name a group

        Examples
        --------
        >>> words = Vocabulary.learn(["A man on skis.", "a woman"])
        >>> words.encode("A man, a dog!"), words.decode(words.encode("A man, a dog!"))
        ([1, 4, 5, 4, 3, 2], 'a man a')
        """
        counts = Counter(word for caption in captions for word in words_of(caption))
        always = [word for word in sorted({*map(plain_text, whole)}) if word in counts]
        frequent = sorted(counts, key=lambda word: (-counts[word], word))
        if kind == "words":
            kept = [word for word in frequent if counts[word] >= least][: size - len(SPECIAL)]
            names = [*SPECIAL, *dict.fromkeys([*kept, *always])]
            indices = {name: i for i, name in enumerate(names)}
            tokenizer = Tokenizer(models.WordLevel(indices, SPECIAL[UNKNOWN_WORD]))
            tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s+"), "removed")
            return cls(tokenizer)
        tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[UNKNOWN_WORD]))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.BpeTrainer(
            vocab_size=size, special_tokens=[*SPECIAL], show_progress=False, min_frequency=2
        )
        # One word at a time: how often pairs occur does not depend on the order of captions.
        tokenizer.train_from_iterator(
            (word for word in sorted(counts) for _ in range(counts[word])), trainer
        )
        tokenizer.add_tokens([AddedToken(_WHOLE + word, lstrip=True) for word in always])
        return cls(tokenizer)

    @classmethod
    def read(cls, path: Path) -> Vocabulary:
        """Return the vocabulary in a file; `InputError` where it holds none."""
        check_file(path, "a vocabulary")
        with reading(path, "vocabulary"):
            try:
                tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
            except Exception as error:  # the library raises nothing narrower
                raise InputError(f"{path} is damaged: {error}: {_AGAIN}") from None
        if [tokenizer.id_to_token(i) for i in range(len(SPECIAL))] != [*SPECIAL]:
            raise InputError(f"{path} is damaged: it does not begin with {SPECIAL[0]}: {_AGAIN}")
        return cls(tokenizer)

    def write(self, path: Path) -> None:
        """Write the vocabulary into a file."""
        with whole_file(path) as part:
            part.write_text(self.tokenizer.to_str(pretty=True), encoding="utf-8")

    def encode(self, caption: str) -> list[int]:
        """Return a caption as tokens from start to end; what is too long is cut."""
        return self.encode_all([caption])[0]

    def encode_all(self, captions: Sequence[str]) -> list[list[int]]:
        """Return captions as tokens from start to end, cut after `LONGEST`."""
        whole = self._whole
        texts = [
            " ".join(_WHOLE + word if word in whole else word for word in words_of(caption))
            for caption in captions
        ]
        encoded = self.tokenizer.encode_batch(texts, add_special_tokens=False)
        return [[START, *one.ids[: LONGEST - 2], END] for one in encoded]

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of tokens, without those that are no words."""
        kept = [token for token in tokens if token >= len(SPECIAL)]
        text: str = self.tokenizer.decode(kept, skip_special_tokens=True)
        return " ".join(text.replace(_WHOLE, " ").split())

    def token(self, word: str) -> int | None:
        """Return the one token of a word; None where it is not one token."""
        text = plain_text(word)
        index: int | None = self.tokenizer.token_to_id(text if self.is_words else _WHOLE + text)
        return None if index is None or index < len(SPECIAL) else index

    def word_at(self, tokens: Sequence[int], step: int) -> str:
        """Return the word of the token at a step."""
        return self.decode([tokens[step]])

    @cached_property
    def is_words(self) -> bool:
        """Whether every token is a whole word."""
        return isinstance(self.tokenizer.model, models.WordLevel)

    @cached_property
    def _whole(self) -> frozenset[str]:
        """The words that are one token though others are not."""
        added = self.tokenizer.get_added_tokens_decoder().values()
        contents = (token.content for token in added)
        return frozenset(text[1:] for text in contents if text.startswith(_WHOLE))

    def group_tokens(self, words: Mapping[str, Iterable[str]]) -> dict[str, tuple[int, ...]]:
        """Return the tokens of the words of each group, of those that are in the vocabulary.

        Examples
        --------
        >>> vocabulary = Vocabulary.learn(["a man", "a woman"])
        >>> vocabulary.group_tokens({"woman": ["woman", "she"], "man": ["man"]})
        {'woman': (6,), 'man': (5,)}
        """
        return {
            group: tuple(sorted({token for word in of if (token := self.token(word)) is not None}))
            for group, of in words.items()
        }


def words_of(caption: str) -> list[str]:
    """Return the words of a caption in lower case: of any script, with apostrophes.

    >>> words_of("A man's dog; 2 cats.")
    ['a', "man's", 'dog', '2', 'cats']
    """
    return split_words(caption)
