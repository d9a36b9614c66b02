"""Messages are one short printable line, whatever the data hold; parsers fail in one place."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairvision.errors import (
    LONGEST,
    FairvisionWarning,
    InputError,
    check_file,
    one_line,
    reading,
    shown,
)


@given(st.text(st.characters(exclude_categories=())), st.integers(8, 600))
def test_every_message_is_one_short_printable_line(text, longest):
    line = one_line(text, longest)
    assert len(line.encode("utf-8")) <= longest
    assert line.isprintable()
    assert one_line(line) == line
    for kind in (InputError, FairvisionWarning):
        assert len(str(kind(text)).encode("utf-8")) <= LONGEST


def test_a_long_message_keeps_where_and_what_to_do():
    message = f"a.csv row 3, column 'x': {'y' * 5000} is no group: give --attribute"
    line = str(InputError(message))
    assert line.startswith("a.csv row 3, column 'x': yyy")
    assert line.endswith("is no group: give --attribute")


@given(
    st.one_of(st.text(), st.binary(), st.lists(st.text()), st.dictionaries(st.text(), st.text()))
)
def test_values_are_shown_short_and_printable(value):
    assert len(shown(value).encode("utf-8")) <= 82
    assert shown(value).isprintable()


@pytest.mark.parametrize(
    ("content", "parse", "words"),
    [
        (
            b'{"x": ' + b"1" * 5000 + b"}",
            json.loads,
            "is not valid JSON: a number in it has too many digits",
        ),
        (b"[" * 99999, json.loads, "is nested too deeply"),
        (b"{]", json.loads, "line 1 is not valid JSON"),
        (b"\xff", lambda raw: json.loads(raw.decode()), "is not text in UTF-8"),
        (b"a = ", lambda raw: tomllib.loads(raw.decode()), "is not valid JSON: "),
    ],
)
def test_what_a_parser_raises_is_one_line_with_the_file(tmp_path, content, parse, words):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught, reading(path, "JSON"):
        parse(path.read_bytes())
    assert str(caught.value).startswith(f"{path} ")
    assert words in str(caught.value)


def test_parsers_of_bytes(tmp_path):
    path = tmp_path / "file"
    for parse in (pq.read_table, np.load):
        for content in (b"", b"PAR1" * 9, b"\x93NUMPY"):
            path.write_bytes(content)
            with pytest.raises(InputError, match="is not a valid table"), reading(path, "a table"):
                parse(path)
    for error in (EOFError(), MemoryError(), KeyError("x"), OSError(5, "Input/output error")):
        with pytest.raises(InputError, match="file "), reading(path):
            raise error
    with pytest.raises(KeyboardInterrupt), reading(path):
        raise KeyboardInterrupt


def test_the_root_cause_is_told_of_what_java_raises():
    told = "An error occurred while calling o1.\n: x.y.Z\n\tat a.b\nCaused by: C\nCaused by: lost"
    with pytest.raises(InputError, match=r"^rows cannot be read: lost$"), reading("rows"):
        raise RuntimeError(told)


def test_only_regular_files_are_read(tmp_path):
    (tmp_path / "circle").symlink_to("circle")
    for path, words in (
        (tmp_path, "is a folder, not a table"),
        (tmp_path / "none", "does not exist"),
        (tmp_path / "circle", "cannot be read"),
        (Path(os.devnull), "is not a regular file"),
    ):
        with pytest.raises(InputError, match=words):
            check_file(path, "a table")
