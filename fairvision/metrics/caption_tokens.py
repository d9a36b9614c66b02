"""What captions are cut into: words of any script, and phrases that are looked for among them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Container, Iterable, Iterator

APOSTROPHES = "\u2019\u2018\u201b\u02bc\u02b9\u2032\u00b4\uff07"  # besides the plain one
_PLAIN = str.maketrans(dict.fromkeys(APOSTROPHES, "'"))
WORD_PARTS = "LMN"  # letters, marks and numbers, as Unicode files characters
_COCO, _ASCII = re.compile(r"[a-z0-9']+"), re.compile(r"[A-Za-z0-9']+")
# Thai and Lao, Burmese, Khmer, kana, Han: these put no spaces between words
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_PART = re.compile(rf"[{_UNSPACED}]|[^ {_UNSPACED}]+")

Phrase = tuple[str, ...]


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


def coco_tokens(caption: str) -> list[str]:
    """Return runs of the letters a to z, digits and apostrophes of a caption in lower case.

    >>> coco_tokens("A man's best friend, 2 dogs.")
    ['a', "man's", 'best', 'friend', '2', 'dogs']
    """
    return _COCO.findall(plain_text(caption))


def split_words(text: str) -> list[str]:
    """Return runs of letters, marks, digits and apostrophes of any script.

    >>> split_words("Кошка сидит, 2 собаки")
    ['кошка', 'сидит', '2', 'собаки']
    """
    return _without_signs(plain_text(text)).split()


def words_and_letters(caption: str) -> list[str]:
    """Return the words of a caption, and single letters where a script has no spaces.

    Of texts without other letters than a to z they are those of `coco_tokens`.

    >>> words_and_letters("Früher: 一个女人, a woman's 2 cats")
    ['früher', '一', '个', '女', '人', 'a', "woman's", '2', 'cats']
    """
    plain = plain_text(caption)
    return [plain[start:stop] for start, stop in places_of_words(plain)]


def places_of_words(text: str) -> list[tuple[int, int]]:
    """Return where words, or single letters, begin and end in a text as it is written.

    >>> places_of_words("A 女 b")
    [(0, 1), (2, 3), (4, 5)]
    """
    part, text = (_ASCII, text) if text.isascii() else (_PART, _without_signs(text))
    return [match.span() for match in part.finditer(text)]


def phrases_of(words: Iterable[str]) -> dict[Phrase, str]:
    """Return words by the words and letters that they are cut into.

    >>> phrases_of(["woman", "女人"])
    {('woman',): 'woman', ('女', '人'): '女人'}
    """
    return {tuple(words_and_letters(word)): word for word in words}


def phrases_in(words: list[str], phrases: Container[Phrase], longest: int) -> Iterator[slice]:
    """Yield where phrases stand, from left to right; within a phrase nothing else counts.

    Parameters
    ----------
    words : of a text
    phrases : that are looked for; of several that begin at a place the longest counts
    longest : words of the longest of these

    >>> list(phrases_in(["two", "hot", "dogs"], {("dogs",), ("hot", "dogs")}, 2))
    [slice(1, 3, None)]
    """
    at = 0
    while at < len(words):
        for size in range(min(longest, len(words) - at), 0, -1):
            if tuple(words[at : at + size]) in phrases:
                yield slice(at, at + size)
                at += size
                break
        else:
            at += 1


def is_one_word(text: str) -> bool:
    """Tell whether a text is letters, digits and apostrophes alone, at least one.

    >>> is_one_word("früher"), is_one_word("a man"), is_one_word(""), is_one_word("女人")
    (True, False, False, True)
    """
    plain = plain_text(text)
    return bool(plain) and "".join(words_and_letters(plain)) == plain


def longest_of(phrases: Collection[Phrase]) -> int:
    """Return how many words the longest phrase has, 0 without phrases."""
    return max(map(len, phrases), default=0)


def _without_signs(text: str) -> str:
    """Return a text with a space for each character that no word has."""
    return text.translate({ord(c): " " for c in {*text} if not _is_of_word(c)})


def _is_of_word(character: str) -> bool:
    """Tell whether a character is a letter, mark, digit or apostrophe, or is not seen."""
    kind = unicodedata.category(character)
    return kind[0] in WORD_PARTS or kind == "Cf" or character in APOSTROPHES or character == "'"
