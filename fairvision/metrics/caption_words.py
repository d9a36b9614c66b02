"""The words by which captions name the group of the person they describe.

Two published lists: that of Hendricks et al., "Women also Snowboard", ECCV 2018 (arXiv:1803.09797),
decides what a caption says; the words that Hirota et al., "Quantifying Societal Bias Amplification
in Image Captioning", CVPR 2022 (arXiv:2203.15395) hide go beyond it, and are hidden as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fairvision.errors import InputError, shown
from fairvision.metrics._engine.arrays import Objects
from fairvision.metrics._engine.inputs import to_numpy_or_pandas
from fairvision.metrics.caption_tokens import (
    is_one_word,
    longest_of,
    phrases_in,
    phrases_of,
    places_of_words,
    plain_text,
    words_and_letters,
)
from fairvision.schema import UNKNOWN

OTHER = "other"  # what a caption is that names several groups, or none
MASK = "maskedword"  # one token for any tokeniser, and no word of a caption

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

    The words of a caption are the runs of letters, digits and apostrophes of its lower-case text;
    in scripts without spaces between words, such as Chinese and Thai, words are looked for among
    the letters, and where several begin the longest counts. A caption that holds words of one group
    only names this group; with words of several groups, or of none, it is "other". This is what the
    words say, not who is in the image: "a man's hat" is "other", because "man's" is not in the
    list.

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
    name = namer(kinds)
    named = {caption: name(caption) for caption in dict.fromkeys(read)}
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
    masked_text = masker(read_hidden(words), mask)
    read = read_captions("captions", captions)
    masked = np.empty(len(read), dtype=object)
    for row, caption in enumerate(read):
        if isinstance(caption, str):
            masked[row] = masked_text(caption)
        elif caption is not None:
            masked[row] = [masked_text(one) for one in caption]
    return masked


def namer(words: Mapping[str, Iterable[str]]) -> Callable[[Caption], str | None]:
    """Return a function that tells which group a caption names.

    It returns "other" for several groups or none, and None for no caption.

    >>> namer({"woman": ["女人"], "man": ["人", "früher"]})("Früher: 一个女人")
    'other'
    """
    group_of = {phrase: group for group, of in words.items() for phrase in phrases_of(of)}
    longest = longest_of(group_of)
    single = {phrase[0]: group for phrase, group in group_of.items() if longest == 1}

    def named(caption: Caption) -> str | None:
        if caption is None:
            return None
        spoken = words_and_letters(caption if isinstance(caption, str) else "\n".join(caption))
        groups = {single[word] for word in spoken if word in single}
        if longest > 1:
            groups = {group_of[tuple(spoken[at])] for at in phrases_in(spoken, group_of, longest)}
        return groups.pop() if len(groups) == 1 else OTHER

    return named


def masker(hidden: Iterable[str], mask: str = MASK) -> Callable[[str], str]:
    """Return a function that returns a caption in lower case, with a mask in place of words.

    >>> masker(["女人", "man"], "_")("A man's 女人。")
    "a _'s _。"
    """
    single = frozenset(hidden)
    several = {phrase for phrase in phrases_of(single) if len(phrase) > 1}
    longest = longest_of(several)

    def masked(caption: str) -> str:
        plain, done = plain_text(caption), 0
        places = places_of_words(plain)
        spoken = [plain[start:stop] for start, stop in places]
        joined = {at.start: at.stop for at in phrases_in(spoken, several, longest)}
        pieces = []
        for at, (start, stop) in enumerate(places):
            if start < done:
                continue  # it went with the word before
            if at in joined:
                stop = places[joined[at] - 1][1]
                new = mask
            else:
                new = hide(spoken[at], single, mask)
            pieces += [plain[done:start], new]
            done = stop
        return "".join([*pieces, plain[done:]])

    return masked


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
        if not read[group]:
            raise InputError(f"words[{group!r}] is empty: no caption could name that group")
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
        if not isinstance(word, str) or not is_one_word(word):
            raise InputError(
                f"{arg} holds {shown(word)}: a word is made of letters, digits and apostrophes, "
                "without spaces"
            )
        read.add(plain_text(word))
    return frozenset(read)
