"""Captions of images: lists of texts, as tables hold them and as they are held in memory."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from fairvision.core.spellings import UNKNOWN, folded, seem_missing
from fairvision.core.tables import Place, PlaceOf, is_list
from fairvision.datasets.label_columns import one_array
from fairvision.datasets.label_texts import QUOTED, listed
from fairvision.errors import shown

COLUMN = "captions"
_TEXT = pa.large_string()
TYPE = pa.large_list(_TEXT)
"""How captions are held, with null where an image has none."""

_BLANKS = r"[\s\pZ\p{Cc}]+"
_UNTIDY = (  # a blank that is no single space; to look for it is faster than to replace
    r"[\x00-\x1f\x7f-\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]"
    r"|^ |  | $"
)
_SEEN = r"[^\s\p{Cf}]"
_OPENINGS = ("[", "{", "(")
_SHORT = 20  # letters of a text that stands for nothing, at most
_PIECE = 1 << 18  # rows


def is_captions(kind: pa.DataType) -> bool:
    """Say whether cells of a type can be captions: texts, lists of texts, or nothing.

    >>> is_captions(pa.list_(pa.string())), is_captions(pa.string()), is_captions(pa.int64())
    (True, True, False)
    """
    if is_list(kind) or pa.types.is_dictionary(kind):
        return not is_list(kind.value_type) and is_captions(kind.value_type)
    return pa.types.is_null(kind) or kind in (pa.string(), pa.large_string(), pa.string_view())


def check_captions(place: Place, kind: pa.DataType) -> None:
    """Raise `InputError` unless the cells of a column can be captions."""
    if not is_captions(kind):
        name = shown(str(kind).replace("large_", ""))[1:-1]
        raise place.error(f"holds {name}: captions are texts, or lists of texts")


def parse_captions(
    column: Any, place_of: PlaceOf, name: str = COLUMN, unknown: Collection[str] = ()
) -> pa.LargeListArray:
    r"""Return a column of captions as people write them.

    A cell is a list of texts; or a text, which is one caption, or a list that was written as text,
    by JSON or by Python. A text that goes on after a list is one caption. Runs of blanks and
    control characters become one space, and captions in which nothing can be seen are left out.

    Parameters
    ----------
    column : array of pyarrow, n cells of a type that `is_captions` accepts
    place_of : says where a row of the column stands
    name : of the column, for messages
    unknown : texts that are no captions, in lower case

    Returns
    -------
    (n,) lists of texts, null where there is none

    Raises
    ------
    InputError
        A cell is a list that is cut short, or that holds something else than text.

    Examples
    --------
    >>> cells = pa.array(['["A man.", "A\\n dog."]', "['A man']", "A [small] dog", "", None])
    >>> parse_captions(cells, lambda row, name: Place("t.csv", name, row + 1)).to_pylist()
    [['A man.', 'A dog.'], ['A man'], ['A [small] dog'], None, None]
    >>> parse_captions(pa.array(['["A man", 3]']), lambda row, name: Place("t.csv", name, row + 1))
    Traceback (most recent call last):
    fairvision.errors.InputError: t.csv row 1, column 'captions': the list holds 3, which is no text
    """
    column = one_array(column)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), TYPE)
    if is_list(column.type):
        return _cleaned(column.cast(TYPE), unknown)
    text = column.cast(_TEXT)
    starts = pc.utf8_slice_codeunits(pc.utf8_ltrim_whitespace(text), 0, 1)
    written = np.flatnonzero(pc.fill_null(pc.is_in(starts, pa.array(_OPENINGS, _TEXT)), False))
    if not len(written):
        return _cleaned(_alone(text), unknown)
    lists = zip(written.tolist(), text.take(pa.array(written)).to_pylist())
    read = pa.array([_listed(partial(place_of, row, name), cell) for row, cell in lists], TYPE)
    places = np.arange(len(text))
    places[written] = len(text) + np.arange(len(written))
    both = pa.chunked_array([_alone(text), read])
    return _cleaned(one_array(both.take(pa.array(places))), unknown)


def _alone(text: pa.Array) -> pa.LargeListArray:
    """Return texts as lists of one."""
    return pa.LargeListArray.from_arrays(np.arange(len(text) + 1), text)


def _listed(place: Callable[[], Place], text: str) -> list[str]:
    """Return the captions of a cell that begins with a bracket: a list, or one caption."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        captions = listed(text.strip(), bare=False)
        if captions is None and _begins_list(text) and not _goes_on(text):
            raise place().error(
                f"{shown(text)} looks like a list, but is none of texts in quotes: write "
                '["A man.", "A dog."]'
            ) from None
        value = [text] if captions is None else captions
    if not isinstance(value, list | tuple):
        raise place().error(f"holds {shown(value)}: write captions as a list of texts")
    for caption in value:
        if not isinstance(caption, str | None):
            raise place().error(f"the list holds {shown(caption)}, which is no text")
        if caption and re.search("[\ud800-\udfff]", caption):  # JSON can write these
            raise place().error(f"{shown(caption)} holds half of a character")
    return list(value)


def _begins_list(text: str) -> bool:
    """Tell whether a text begins as a list of texts does."""
    return re.match(r"\s*[\[{]\s*[\"']", text) is not None


def _goes_on(text: str) -> bool:
    """Tell whether a text that begins with a list has more after it.

    >>> _goes_on('["A man."] and more'), _goes_on('["A man."] '), _goes_on('["A [b] man')
    (True, False, False)
    """
    ended = re.search(r"[\]}]", re.sub(rf"{QUOTED}|['\"].*", "", text, flags=re.DOTALL))
    return ended is not None and bool(ended.string[ended.end() :].strip())


def _cleaned(lists: pa.LargeListArray, unknown: Collection[str] = ()) -> pa.LargeListArray:
    """Return lists without blank captions, and these without blanks but single spaces."""
    flat = _tidy(lists.flatten())
    seen = pc.fill_null(pc.match_substring_regex(flat, _SEEN), False)
    if unknown:
        seen = pc.and_not(seen, pc.is_in(pc.utf8_lower(flat), pa.array(sorted(unknown), _TEXT)))
    kept = seen.to_numpy(zero_copy_only=False)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    rows = np.repeat(np.arange(len(lists)), lengths)
    counts = np.bincount(rows[kept], minlength=len(lists))
    return _lists(flat.filter(seen), counts)


def says_nothing(caption: str) -> bool:
    """Tell whether a caption is what programs write where there is none, such as "nan".

    >>> says_nothing("N/A"), says_nothing("unknown"), says_nothing("None of us")
    (True, True, False)
    """
    return len(caption) <= _SHORT and bool(seem_missing([caption]) or folded(caption) == UNKNOWN)


def placeholders(lists: pa.LargeListArray) -> Counter[str]:
    """Return how often captions are texts that other programs write where there is nothing.

    >>> placeholders(pa.array([["A man.", "N/A"], ["nan"], ["nan", "None of us"]], TYPE))
    Counter({'nan': 2, 'N/A': 1})
    """
    flat = lists.flatten()
    short = flat.filter(pc.less_equal(pc.utf8_length(flat), _SHORT))
    of_each = {one["values"]: one["counts"] for one in short.value_counts().to_pylist()}
    return Counter({text: of_each[text] for text in filter(says_nothing, of_each)})


def without(lists: pa.LargeListArray, texts: Collection[str]) -> pa.LargeListArray:
    """Return captions but those that are one of some texts, in any case."""
    return _cleaned(lists, [text.lower() for text in texts]) if texts else lists


def left_out(texts: Mapping[str, int]) -> str:
    """Say of captions how many were left out, and which; of how often each was there.

    >>> left_out({"nan": 2, "n/a": 1})
    "3 captions are 'nan' or 'n/a', which say nothing, and are left out"
    """
    count = sum(texts.values())
    are = "1 caption is" if count == 1 else f"{count} captions are"
    which = " or ".join(map(shown, texts))
    how = "says nothing, and is" if count == 1 else "say nothing, and are"
    return f"{are} {which}, which {how} left out"


def _tidy(flat: pa.LargeStringArray) -> pa.LargeStringArray:
    """Return texts with single spaces between words, and none around them."""
    untidy = pc.fill_null(pc.match_substring_regex(flat, _UNTIDY), False)
    spaced = pc.replace_substring_regex(flat.filter(untidy), _BLANKS, " ")
    return pc.replace_with_mask(flat, untidy, pc.utf8_trim(spaced, " "))


def _lists(flat: pa.Array, counts: npt.NDArray[np.integer]) -> pa.LargeListArray:
    """Return texts as lists of so many each, null where of none."""
    offsets = np.append(0, np.cumsum(counts))
    mask = pa.array(counts == 0)
    return pa.LargeListArray.from_arrays(pa.array(offsets), flat, mask=mask)


def put_together(columns: Sequence[pa.LargeListArray]) -> pa.LargeListArray:
    """Return the captions of several columns, those of the first column first.

    >>> columns = [pa.array([["A"], None], TYPE), pa.array([["B", "C"], ["D"]], TYPE)]
    >>> put_together(columns).to_pylist()
    [['A', 'B', 'C'], ['D']]
    """
    counts = [
        pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
        for lists in columns
    ]
    flat = pa.concat_arrays([lists.flatten() for lists in columns])
    rows = np.concatenate([np.repeat(np.arange(len(of)), of) for of in counts])
    order = np.argsort(rows, kind="stable")
    return _lists(flat.take(pa.array(order)), np.sum(counts, axis=0))


def as_series(captions: Any) -> pd.Series:
    """Return captions as a column of `Dataset.samples`, without a Python object per row.

    Parameters
    ----------
    captions : array of pyarrow; or n collections of texts, each perhaps None

    Examples
    --------
    >>> as_series([("A man.",), (), None]).isna().tolist()
    [False, True, True]
    """
    if not isinstance(captions, (pa.Array, pa.ChunkedArray)):
        given = [None if texts is None else list(texts) for texts in captions]
        captions = _cleaned(pa.array(given, TYPE))
    return pd.Series(pd.array(captions, pd.ArrowDtype(TYPE)))


def as_arrow(column: pd.Series) -> pa.LargeListArray:
    """Return a column of `Dataset.samples`, also one of Python's lists, as an array of arrow."""
    if not isinstance(column.dtype, pd.ArrowDtype):
        column = as_series(None if isinstance(texts, float) else texts for texts in column)
    return one_array(pa.array(column)).cast(TYPE)


def as_tuples(column: pd.Series) -> list[tuple[str, ...]]:
    """Return the captions of each row, an empty tuple where there is none.

    >>> as_tuples(as_series([("A man.", " A  dog. "), None]))
    [('A man.', 'A dog.'), ()]
    """
    return [tuple(texts or ()) for texts in as_arrow(column).to_pylist()]


def caption_bytes(column: pd.Series) -> Iterator[bytes]:
    """Yield bytes that follow from the captions of a column alone."""
    for start in range(0, len(column), _PIECE):
        lists = as_arrow(column.iloc[start : start + _PIECE])
        flat = lists.flatten()
        for lengths in (pc.list_value_length(lists), pc.binary_length(flat)):
            numbers = pc.fill_null(lengths, 0).to_numpy(zero_copy_only=False)
            yield numbers.astype(np.int64).tobytes()
        yield "".join(flat.to_pylist()).encode()


def captioned(column: pd.Series) -> npt.NDArray[np.bool_]:
    """Say which rows of a column have a caption, (n,).

    >>> captioned(as_series([("A man.",), None])).tolist()
    [True, False]
    """
    has: npt.NDArray[np.bool_] = as_arrow(column).is_valid().to_numpy(zero_copy_only=False)
    return has


def words_per_caption(column: pd.Series) -> npt.NDArray[np.int64]:
    """Return the number of words, which are what stands between spaces, of every caption.

    >>> words_per_caption(as_series([("A man.", "A small dog."), None])).tolist()
    [2, 3]
    """
    flat = as_arrow(column).flatten()
    words: npt.NDArray[np.int64] = pc.count_substring(flat, " ").to_numpy(zero_copy_only=False)
    return words.astype(np.int64) + 1
