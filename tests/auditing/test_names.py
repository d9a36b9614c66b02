from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairvision.auditing.names import RESERVED, model_names
from fairvision.errors import InputError

PARTS = st.text(
    st.characters(blacklist_characters="/\x00", blacklist_categories=("Cs",)),
    min_size=1,
    max_size=12,
).filter(lambda part: part not in (".", ".."))
PATHS = st.lists(PARTS, min_size=1, max_size=3).map(lambda parts: Path("/", *parts))


@given(st.lists(PATHS, min_size=1, max_size=5))
def test_names_are_unique_and_safe_for_any_paths(paths):
    names = model_names(paths)
    assert len({name.lower() for name in names}) == len(paths)
    for name in names:
        assert name
        assert "/" not in name
        assert " - " not in name
        assert name not in (".", "..", *RESERVED)
        assert Path("audit", name).parent == Path("audit")


def test_runs_of_one_name_are_told_apart_by_the_folders_above():
    assert model_names([Path("/x/a/run"), Path("/x/b/run"), Path("/x/c")]) == [
        "a_run",
        "b_run",
        "c",
    ]


def test_a_name_that_would_read_as_a_difference_is_changed():
    assert model_names([Path("/x/B - A")]) == ["B-A"]


def test_a_name_of_a_file_of_the_audit_is_changed():
    assert model_names([Path("/x/metrics.csv/samples.parquet")]) == ["metrics.csv_model"]


def test_given_names_are_kept():
    assert model_names([Path("a"), Path("b")], ["first", "second"]) == ["first", "second"]


@pytest.mark.parametrize(
    "names",
    [
        ["one"],
        ["same", "same"],
        ["a/b", "c"],
        ["a - b", "c"],
        ["", "c"],
        ["audit.json", "c"],
        ["a\ud800", "c"],
    ],
)
def test_given_names_that_cannot_be_used_are_refused(names):
    with pytest.raises(InputError):
        model_names([Path("a"), Path("b")], names)
