"""How people write labels down: lists as text, codes such as 0 and 1, other separators.

What can be read in one way only is read so; what could mean two things is refused or named.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice

from fairvision.errors import InputError, shown

QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_BARE = r"[-+]?\d+(?:\.\d*)?|True|False|true|false|None|null|nan"
_ITEM = re.compile(rf"\s*({QUOTED}|{_BARE})\s*(,?)")
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_NOTHING = frozenset(("None", "null", "nan"))
_WHOLE = re.compile(r"[-+]?\d+\.0*")
_INTEGER = re.compile(r"-?\d{1,3}")
_BITS = ({"0", "1"}, {"0"}, {"1"}, {"-1", "1"}, {"False", "True"}, {"false", "true"})
_FLAGS = {"0", "1", "-1", "True", "False", "true", "false"}
_LISTS = re.compile(r"\[.*[,'\":].*\]|\{.*[,'\":].*\}|(array|set|frozenset)\([\[({].*\)", re.DOTALL)
_OTHERS = (",", "|", "\t", " / ")
_NAMED = 4


def listed(text: str, *, bare: bool = True) -> tuple[str, ...] | None:
    r"""Return the labels of a list that was written as text; None where text is no such list.

    Lists, tuples and sets of Python, lists of JSON, and arrays of numpy; labels in quotes, and
    where `bare` numbers and truth values. Nothing is evaluated but quoted text.

    Examples
    --------
    >>> listed("['cat', 'tree']"), listed('["cat"]'), listed("['cat' 'tree']"), listed("[]")
    (('cat', 'tree'), ('cat',), ('cat', 'tree'), ())
    >>> listed("{'cat'}"), listed("[3, 7.0]"), listed("cat"), listed("[cat, tree]")
    (('cat',), ('3', '7'), None, None)
    """
    if text == "set()":
        return ()
    if len(text) < 2 or _BRACKETS.get(text[0]) != text[-1]:
        return None
    body, at = text[1:-1].strip(), 0
    items: list[str] = []
    commas: list[bool] = []
    while at < len(body):
        item = _ITEM.match(body, at)
        if item is None:
            return None
        if not bare and not _is_quoted(item[1]) and item[1] not in _NOTHING:
            return None
        items.append(item[1])
        commas.append(bool(item[2]))
        at = item.end()
    quoted = bool(items) and _is_quoted(items[0])
    if text[0] != "[" and not (quoted and (commas[0] or (text[0] == "{" and len(items) == 1))):
        return None  # "(none)", "(3)", "{}" and "{3}" may be names
    if len(set(commas[:-1])) > 1 or (commas and commas[-1] and not all(commas)):
        return None  # 'a' 'b', 'c'
    try:
        return tuple(
            _unquoted(item) if _is_quoted(item) else whole(item)
            for item in items
            if item not in _NOTHING
        )
    except (ValueError, SyntaxError):
        return None


def whole(text: str) -> str:
    """Return a whole number without its fraction of 0, and other text as it is.

    Examples
    --------
    >>> whole("1.0"), whole("-1."), whole("1.5"), whole("v1.0")
    ('1', '-1', '1.5', 'v1.0')
    """
    return text.partition(".")[0] if _WHOLE.fullmatch(text) else text


def split_labels(text: str, separator: str) -> tuple[str, ...]:
    """Return the labels of a cell: of a list written as text, or between separators.

    Examples
    --------
    >>> split_labels("cat; tree", ";"), split_labels("['a;b']", ";"), split_labels(";", ";")
    (('cat', 'tree'), ('a;b',), ())
    """
    labels = listed(text)
    if labels is None:
        labels = tuple(label.strip() for label in text.split(separator))
    return tuple(dict.fromkeys(filter(None, labels)))


def check_label(place: object, label: str) -> None:
    """Raise `InputError` for a label that looks like a list, which would be one label then."""
    if _LISTS.fullmatch(label) or listed(label) is not None:
        raise InputError(
            f"{place}: {shown(label)} looks like a list, not like a label: where several labels "
            "may hold write cat;tree, else write the label alone"
        )


def check_labels(
    place: object, sets: Iterable[Sequence[str]], *, separator: str, asked: bool = False
) -> None:
    """Raise `InputError` where the labels of images seem to be written in another way.

    Parameters
    ----------
    place : file and column, for messages
    sets : the labels of each image, or of each different cell
    separator : that was looked for between labels
    asked : whether the user named that separator

    Examples
    --------
    >>> check_labels("t.csv, column 'o'", [("cat, tree",), ("cat",)], separator=";")
    Traceback (most recent call last):
    fairvision.errors.InputError: t.csv, column 'o': 'cat, tree' is one label, or 2 with ',' \
between them: write cat;tree, or say which separator is meant
    """
    sets = list(sets)
    labels = Counter(label for labels in sets for label in labels)
    for label in labels:
        check_label(place, label)
    if not asked:
        _check_separators(place, labels, any(len(held) > 1 for held in sets))


def check_not_multi_hot(place: object, lists: Iterable[Sequence[str]]) -> None:
    """Raise `InputError` where lists of one length hold nothing but 0 and 1.

    Examples
    --------
    >>> check_not_multi_hot("t.csv, column 'o'", [("0", "1"), ("1", "1")])
    Traceback (most recent call last):
    fairvision.errors.InputError: t.csv, column 'o': holds lists of 0 and 1, which do not say \
which label is meant: write the names of those that hold
    """
    lists = [labels for labels in lists if labels]
    bits = {label for labels in lists for label in labels} <= _FLAGS
    if lists and bits and len({len(labels) for labels in lists}) == 1 and len(lists[0]) > 1:
        raise InputError(
            f"{place}: holds lists of 0 and 1, which do not say which label is meant: write the "
            "names of those that hold"
        )


def _check_separators(place: object, labels: Collection[str], separated: bool) -> None:
    """Refuse a label that holds another separator, unless it can only be one label."""
    for label in labels:
        for other in _OTHERS:
            parts = [part.strip() for part in label.split(other) if part.strip()]
            if len(parts) < 2 or (separated and not {*parts} <= {*labels}):
                continue
            raise InputError(
                f"{place}: {shown(label)} is one label, or {len(parts)} with {other.strip()!r} "
                "between them: write cat;tree, or say which separator is meant"
            )


def codes(names: Collection[str]) -> str:
    """Return how names are coded, such as "0/1"; "" where they are names.

    Examples
    --------
    >>> codes(["0", "1"]), codes(["true", "false"]), codes(["3", "12", "7"]), codes(["female"])
    ('0/1', 'false/true', '12/3/7', '')
    """
    texts = {whole(name) for name in names}
    if not texts or not (texts in _BITS or all(map(_INTEGER.fullmatch, texts))):
        return ""
    few = sorted(texts)[:_NAMED]
    return "/".join(few) + ("/…" if len(texts) > _NAMED else "")


def coded(columns: Mapping[str, Collection[str]]) -> str:
    """Return one line that names the columns whose groups or labels are codes; "" without any.

    Examples
    --------
    >>> coded({"gender": ["-1", "1"], "sport": ["ski"]})
    "column 'gender' holds codes (-1/1): figures name them so; write what they stand for, or make \
sure which is which"
    """
    coded_columns = [(name, code) for name, names in columns.items() if (code := codes(names))]
    if not coded_columns:
        return ""
    listing = ", ".join(
        f"{shown(name, 40)} ({code})" for name, code in islice(coded_columns, _NAMED)
    )
    more = f" and {len(coded_columns) - _NAMED} more" if len(coded_columns) > _NAMED else ""
    one = len(coded_columns) == 1
    if one:
        listing = f"{shown(coded_columns[0][0], 40)} holds codes ({coded_columns[0][1]})"
    return (
        f"column{'' if one else 's'} {listing}{more}{'' if one else ' hold codes'}: figures name "
        "them so; write what they stand for, or make sure which is which"
    )


def _unquoted(item: str) -> str:
    """Return quoted text of JSON, or else of Python."""
    if item.startswith('"'):
        with suppress(ValueError):
            return str(json.loads(item))
    return str(ast.literal_eval(item))


def _is_quoted(item: str) -> bool:
    """Return whether a text begins with a quotation mark."""
    return item[:1] in "'\""
