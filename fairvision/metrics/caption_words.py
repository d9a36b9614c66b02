"""The words by which captions name the group of the person they describe.

Two published lists: that of Hendricks et al., "Women also Snowboard", ECCV 2018 (arXiv:1803.09797),
decides what a caption says; the words that Hirota et al., "Quantifying Societal Bias Amplification
in Image Captioning", CVPR 2022 (arXiv:2203.15395) hide go beyond it, and are hidden as well.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fairvision.errors import InputError
from fairvision.metrics._engine.arrays import Objects
from fairvision.metrics._engine.inputs import to_numpy_or_pandas
from fairvision.schema import UNKNOWN

OTHER = "other"  # what a caption is that names several groups, or none
MASK = "maskedword"  # one token for any tokeniser, and no word of a caption

_TOKEN = re.compile(r"[a-z0-9']+")
APOSTROPHES = "\u2019\u2018\u201b\u02bc\u02b9\u2032\u00b4\uff07"  # besides the plain one
_PLAIN = str.maketrans(dict.fromkeys(APOSTROPHES, "'"))
_WOMAN = """
girl sister mom wife woman bride female lady women girls ladies females moms actress nun girlfriend
her she
"""
_MAN = """
boy brother dad husband man groom male guy men males boys guys dads dude policeman policemen father
son fireman actor gentleman boyfriend mans his obama actors
"""
_HIDDEN_TOO = """
mother daughter aunt princess queen queens waitress sisters hers herself pregnant
he him himself uncle prince emperor emperors waiter brothers gentlemen dudes cowboy
"""
GENDER_WORDS: Mapping[str, frozenset[str]] = {
    "woman": frozenset(_WOMAN.split()),
    "man": frozenset(_MAN.split()),
}
HIDDEN_WORDS = frozenset().union(*GENDER_WORDS.values(), _HIDDEN_TOO.split())

# Names that go with the words of the first and the second group of GENDER_WORDS.
_PAIRS = [("woman", "man"), ("female", "male"), ("women", "men"), ("girl", "boy"), ("f", "m")]

Words = Mapping[str, Iterable[str]]
Caption = str | tuple[str, ...] | None  # one, several of one image, unknown


def plain_text(caption: str) -> str:
    """Return a caption in lower case, as if it had been written with a plain keyboard.

    Typographic apostrophes become plain ones, the forms of a letter (full-width, ligatures, letter
    and accent apart) one form (NFKC), and characters that are not seen, as soft hyphens, nothing.

    >>> plain_text("A man\u2019s \uff28\uff41\uff54")
    "a man's hat"
    """
    if not caption.isascii():
        caption = unicodedata.normalize("NFKC", caption.translate(_PLAIN))
        caption = caption.translate(_PLAIN)  # those that were part of another character
        caption = "".join(c for c in caption if unicodedata.category(c) != "Cf")
    return caption.lower()


def tokens(caption: str) -> list[str]:
    """Return the words of a caption in lower case.

    >>> tokens("A man's best friend, 2 dogs.")
    ['a', "man's", 'best', 'friend', '2', 'dogs']
    """
    return _TOKEN.findall(plain_text(caption))


def hide(token: str, hidden: frozenset[str], mask: str = MASK) -> str:
    """Return a token with the mask in place of a hidden word, alone or between apostrophes.

    >>> [hide(token, frozenset(["man"])) for token in ("man", "man's", "'man'", "manly")]
    ['maskedword', "maskedword's", "'maskedword'", 'manly']
    """
    if token in hidden:
        return mask
    return "'".join(mask if part in hidden else part for part in token.split("'"))


def caption_genders(captions: Iterable[Any], words: Words | None = None) -> Objects:
    """Tell which group each caption names.

    The words of a caption are the runs of letters a–z, digits and apostrophes of its lower-case
    text. A caption that holds words of one group only names this group; with words of several
    groups, or of none, it is "other". This is what the words say, not who is in the image:
    "a man's hat" is "other", because "man's" is not in the list.

    Parameters
    ----------
    captions : (n,) texts
        Or lists of texts, where an image has several: their words are taken together. Entries of
        COCO's results, ``{"image_id": …, "caption": …}``, and a DataFrame with a column `caption`
        are taken as well, in their order. None, NaN or an empty list: unknown.
    words : mapping of group to words, optional
        Single words in any case. By default the lists of Hendricks et al. (2018), of the groups
        "woman" and "man".

    Returns
    -------
    (n,) ndarray of objects
        Names of groups, "other", or None where the caption is unknown. It can be given as
        predictions wherever a measure takes groups: "other" is then one more answer, None takes no
        part.

    Raises
    ------
    InputError
        `captions` holds something else than text, or `words` is not a mapping of groups to words,
        each word of one group only.

    References
    ----------
    L. A. Hendricks et al., "Women also Snowboard: Overcoming Bias in Captioning Models", ECCV 2018,
    supplement. arXiv:1803.09797.

    Examples
    --------
    >>> from fairvision import metrics
    >>> captions = ["A woman on her bike", "A man and a woman", "A dog", None]
    >>> metrics.caption_genders(captions)
    array(['woman', 'other', 'other', None], dtype=object)
    >>> metrics.caption_genders(captions, {"pet": ["dog", "cat"], "person": ["man", "woman"]})
    array(['person', 'person', 'pet', None], dtype=object)
    """
    kinds = _read_words(words)
    read = read_captions("captions", captions)
    named = {caption: named_group(caption, kinds) for caption in dict.fromkeys(read)}
    return np.array([named[caption] for caption in read], dtype=object)


def mask_words(
    captions: Iterable[Any], words: Words | Iterable[str] | None = None, *, mask: str = MASK
) -> Objects:
    """Hide the words that name a group.

    Parameters
    ----------
    captions : (n,) texts, or lists of texts
        None, NaN or an empty list: unknown.
    words : mapping of group to words, or words, optional
        What to hide. By default the lists of `caption_genders` and the further words that Hirota et
        al. (2022) hide, such as "he", "mother" and "herself". Of "man's" and "he'll" the word is
        hidden too, and what follows it stays.
    mask : str
        What stands in their place; the default is one token for any tokeniser, and in no caption.

    Returns
    -------
    (n,) ndarray of objects
        The captions in lower case, typographic apostrophes and letters as plain ones (NFKC); lists
        where lists were given, None where unknown.

    Raises
    ------
    InputError
        As `caption_genders`.

    Examples
    --------
    >>> from fairvision import metrics
    >>> metrics.mask_words(["A woman on her bike.", None], mask="_")
    array(['a _ on _ bike.', None], dtype=object)
    """
    hidden = read_hidden(words)

    def masked_text(caption: str) -> str:
        return _TOKEN.sub(lambda m: hide(m[0], hidden, mask), plain_text(caption))

    read = read_captions("captions", captions)
    masked = np.empty(len(read), dtype=object)
    for row, caption in enumerate(read):
        if isinstance(caption, str):
            masked[row] = masked_text(caption)
        elif caption is not None:
            masked[row] = [masked_text(one) for one in caption]
    return masked


def named_group(caption: Caption, words: Mapping[str, frozenset[str]]) -> str | None:
    """Return the group that a caption names, "other" for several or none, None for no caption."""
    if caption is None:
        return None
    words_of_caption = tokens(caption if isinstance(caption, str) else "\n".join(caption))
    named = [group for group, of in words.items() if not of.isdisjoint(words_of_caption)]
    return named[0] if len(named) == 1 else OTHER


def words_for(groups: Sequence[Any], words: Words | None) -> dict[str, frozenset[str]]:
    """Return the words of each group, keyed as the groups are named that occur.

    Without `words` groups may be named female and male, woman and man, and so on, in any case.
    """
    read = _read_words(words)
    if words is None and groups:
        lower = {str(group).lower(): group for group in groups}
        pair = next(
            (pair for pair in _PAIRS if len(lower) == len(groups) and {*lower} <= {*pair}), None
        )
        read = {lower.get(name, name): of for name, of in zip(pair or read, read.values())}
    for group in groups:
        if group not in read:
            raise InputError(
                f"there are no words for the group {group!r}, only for {', '.join(read)}; give "
                "words, {group: words}, or None for rows that should take no part"
            )
    return read


def _read_words(words: Words | None) -> dict[str, frozenset[str]]:
    """Return the words of each group in lower case."""
    if words is None:
        return dict(GENDER_WORDS)
    if not isinstance(words, Mapping) or not words:
        raise InputError("words must be a mapping of groups to lists of words")
    read: dict[str, frozenset[str]] = {}
    for group, of_group in words.items():
        if not isinstance(group, str) or group in (OTHER, UNKNOWN):
            raise InputError(
                f"a group of words needs a name, and not {OTHER} or {UNKNOWN}: {group!r}"
            )
        read[group] = _read_list(f"words[{group!r}]", of_group)
        for earlier in list(read)[:-1]:
            twice = sorted(read[earlier] & read[group])
            if twice:
                raise InputError(f"the word {twice[0]!r} is one of {earlier} and of {group}")
    return read


def read_hidden(words: Words | Iterable[str] | None) -> frozenset[str]:
    """Return all words that are to be hidden, in lower case."""
    if words is None:
        return HIDDEN_WORDS
    if isinstance(words, Mapping):
        return frozenset().union(*_read_words(words).values())
    return _read_list("words", words)


def read_captions(arg: str, captions: Iterable[Any]) -> list[Caption]:
    """Return texts, tuples of texts, and None where unknown."""
    if isinstance(captions, pd.DataFrame) and "caption" in captions:
        captions = captions["caption"]
    captions = to_numpy_or_pandas(captions)
    alone = isinstance(captions, (str, bytes, Mapping, pd.DataFrame))
    if alone or not isinstance(captions, Iterable) or getattr(captions, "ndim", 1) == 0:
        raise InputError(
            f"{arg} must be a list of one text (or list of texts) per image, in the order of "
            f"the groups, not one {type(captions).__name__}"
        )
    return [_read_caption(arg, row, caption) for row, caption in enumerate(captions)]


def _read_caption(arg: str, row: int, caption: Any) -> Caption:
    """Return a text, a tuple of texts, or None where unknown."""
    if isinstance(caption, Mapping) and "caption" in caption:
        caption = caption["caption"]
    if isinstance(caption, str):
        return str(caption)  # of numpy's own kind, perhaps
    if isinstance(caption, (list, tuple, np.ndarray)):
        several = [_read_caption(arg, row, one) for one in caption]
        if any(isinstance(one, tuple) for one in several):
            raise InputError(f"{arg} holds lists within a list in row {row}")
        return tuple(one for one in several if isinstance(one, str)) or None
    if caption is None or (pd.api.types.is_scalar(caption) and pd.isna(caption)):
        return None
    raise InputError(f"{arg} must hold text, but row {row} holds {caption!r}")


def _read_list(arg: str, words: Any) -> frozenset[str]:
    """Return single words in lower case."""
    if isinstance(words, (str, bytes)) or not isinstance(words, Iterable):
        raise InputError(f"{arg} must be a list of words, not {words!r}")
    read = set()
    for word in words:
        if not isinstance(word, str) or _TOKEN.fullmatch(plain_text(word)) is None:
            raise InputError(
                f"{arg} holds {word!r}: a word is made of the letters a to z, digits and "
                "apostrophes, without spaces"
            )
        read.add(plain_text(word))
    return frozenset(read)
