"""Names that read alike are named, never joined."""

from __future__ import annotations

import warnings

import pytest

from fairvision.core.spellings import alike, folded, seem_missing, warn_of_spellings
from fairvision.errors import FairvisionWarning, warn_caller

SAME = ["Café", "café ", "cafe\u0301", "\ufeffCAFÉ", "\uff43af\u00e9", "ca\u200bfé"]


def test_case_blanks_and_forms_of_unicode_read_alike() -> None:
    assert {folded(name) for name in SAME} == {"café"}
    assert alike([*SAME, "caffé"]) == [tuple(SAME)]


@pytest.mark.parametrize("names", [["a b", "ab"], ["1", 1], ["männer", "manner"], ["-1", "1"]])
def test_what_reads_differently_is_no_spelling(names: list) -> None:
    assert alike(names) == []


def test_texts_for_nothing_are_named() -> None:
    names = ["nan", "NaN", "None", "null", " ", "N/A", "nancy", "north", None, float("nan")]
    assert seem_missing(names) == ["nan", "NaN", "None", "null", " ", "N/A"]


def test_one_short_line_names_both_spellings_and_texts_for_nothing() -> None:
    names = [f"{letter * 60}{i}" for i in range(900) for letter in "aA"]
    with pytest.warns(FairvisionWarning, match=r"^groups: .*897 more.*'nan' counts as") as caught:
        warn_of_spellings("groups", [*names, "nan"])
    assert len(caught) == 1
    assert len(str(caught[0].message).encode()) <= 500


def test_what_looks_the_same_is_shown_in_escapes() -> None:
    with pytest.warns(FairvisionWarning, match=r"'caf\\xe9' and 'cafe\\u0301' count as diff"):
        warn_of_spellings("groups", ["caf\u00e9", "cafe\u0301"])
    with pytest.warns(FairvisionWarning, match=r"'a' and 'a\\xa0' count as different"):
        warn_of_spellings("groups", ["a", "a\xa0"])


def test_names_that_differ_are_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_spellings("groups", ["female", "male", 3, None])


def test_a_warning_points_to_the_line_that_asked() -> None:
    with pytest.warns(FairvisionWarning) as caught:
        warn_caller("here")
    assert caught[0].filename == __file__
