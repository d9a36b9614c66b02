from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairvision import metrics
from fairvision.errors import InputError
from fairvision.metrics._engine.inputs import read_groups, read_labels

SPELLINGS = [
    ["a", "b", None, "a"],
    ["a", "b", float("nan"), "a"],
    ("a", "b", "unknown", "a"),
    np.array(["a", "b", None, "a"], dtype=object),
    pd.Series(["a", "b", None, "a"]),
    pd.Series(["a", "b", None, "a"], dtype=object, index=[7, 7, 2, 1]),
    pd.Categorical(["a", "b", None, "a"]),
    pd.Categorical(["a", "b", "unknown", "a"]),
    pd.Index(["a", "b", None, "a"]),
]
CODES = [
    [0, 1, -1, 0],
    [0, 1, None, 0],
    [False, True, None, False],
    np.array([0, 1, np.nan, 0]),
    np.array([0, 1, -1, 0], dtype=np.int8),
    pd.Series([0, 1, None, 0]),
    pd.Series([0, 1, None, 0], dtype="Int64"),
    pd.Series([False, True, None, False], dtype="boolean"),
    pd.Categorical([0, 1, -1, 0]),
]


@pytest.mark.parametrize("spelling", SPELLINGS + CODES, ids=repr)
def test_unknown_is_unknown_in_every_spelling(spelling: object) -> None:
    names, read = read_groups(groups=spelling)
    assert names == (["a", "b"] if any(spelling is s for s in SPELLINGS) else [0, 1])
    assert read["groups"].tolist() == [0, 1, -1, 0]


def test_categories_are_all_listed_in_their_order() -> None:
    groups = pd.Categorical(["b", "a"], categories=["c", "b", "a"])
    by_group = metrics.mean_by_group([1, 0], groups)
    assert list(by_group) == ["c", "b", "a"]
    assert np.isnan(float(by_group["c"]))
    assert by_group["c"].n == 0


def test_names_of_given_codes() -> None:
    names, read = read_groups(["f", "m"], groups=np.array([1, -1, 0]))
    assert (names, read["groups"].tolist()) == (["f", "m"], [1, -1, 0])
    for wrong in ([2], ["x"]):
        with pytest.raises(InputError):
            read_groups(["f", "m"], groups=wrong)


def test_single_and_table_are_read_alike() -> None:
    _, single = read_labels(labels=[0, 2, None])
    _, table = read_labels(labels=[[1, 0, 0], [0, 0, 1], [np.nan, 0, 0]])
    assert single["labels"].valid.tolist() == table["labels"].valid.tolist() == [True, True, False]
    assert single["labels"].row.tolist() == table["labels"].row.tolist()
    assert table["labels"].label.tolist() == [0, 2]
    assert single["labels"].label.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"truth": ["a"], "predicted": [1]}, "truth holds names, but predicted holds numbers"),
        ({"truth": [0.5], "predicted": [1]}, "truth must hold names or codes, not scores"),
        ({"truth": [1], "predicted": [[1]]}, "truth holds one label per row"),
        ({"truth": [[1, 0]], "predicted": [[1]]}, "predicted has 1 labels"),
        ({"truth": [[2]], "predicted": [[1]]}, "truth must hold 0 and 1"),
        ({"truth": [[1], [1, 0]], "predicted": [[1]]}, "truth has rows of different lengths"),
        ({"truth": [["a"]], "predicted": [[1]]}, "truth must be a table of numbers"),
        ({"truth": ["a", 1], "predicted": [1, 1]}, "truth must hold names or whole numbers"),
        ({"truth": [{"a"}], "predicted": ["a"]}, "truth must hold names or whole numbers"),
        ({"truth": 1, "predicted": [1]}, "truth must hold one value per row"),
        ({"truth": np.zeros((1, 1, 1)), "predicted": [[1]]}, "truth must be a table"),
        (
            {
                "truth": pd.DataFrame([[1, 0]], columns=["a", "b"]),
                "predicted": pd.DataFrame([[1, 0]], columns=["b", "a"]),
            },
            "the columns of predicted are not named",
        ),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(arguments: dict, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        metrics.accuracy(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("values", [["a"], [[1.0]], [np.inf]])
def test_values_are_one_number_per_row(values: list) -> None:
    with pytest.raises(InputError, match="values"):
        metrics.mean(values)


def test_where_is_true_or_false() -> None:
    with pytest.raises(InputError, match="where"):
        metrics.mean([1.0, 2.0], where=[0, 1])


@given(st.lists(st.one_of(st.none(), st.text(max_size=3), st.just(float("nan"))), max_size=20))
def test_any_names(groups: list) -> None:
    by_group = metrics.mean_by_group(np.ones(len(groups)), groups, replicates=0)
    known = [g for g in groups if isinstance(g, str) and g != "unknown"]
    assert {group: result.n for group, result in by_group.items() if group != "unknown"} == {
        group: known.count(group) for group in set(known)
    }
    assert sum(result.n for result in by_group.values()) == len(groups)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        np.array(1),
        (code for code in range(4)),
        pd.MultiIndex.from_arrays([[1, 0, 1, 0], list("abab")]),
        np.zeros(4, dtype=[("a", int)]),
    ],
)
def test_what_holds_no_value_per_row_is_told(wrong: Any) -> None:
    for call in (
        lambda: metrics.accuracy(wrong, [1, 0, 1, 0]),
        lambda: metrics.correct(wrong, [1, 0, 1, 0]),
        lambda: metrics.context_typical_group([1, 0, 1, 0], list("abab"), wrong),
        lambda: metrics.dataset_leakage([1, 0, 1, 0], wrong),
        lambda: metrics.model_leakage(wrong, list("abab")),
        lambda: metrics.directional_predictability_amplification(
            wrong, list("abab"), pred_labels=[1, 0, 1, 0]
        ),
    ):
        with pytest.raises(InputError) as error:
            call()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("option", ["replicates", "seed", "confidence", "interval"])
def test_an_array_as_an_option_is_told_in_one_line(option: str) -> None:
    with pytest.raises(InputError, match=option) as error:
        metrics.accuracy([1, 0], [1, 1], **{option: np.zeros((40, 2))})  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
