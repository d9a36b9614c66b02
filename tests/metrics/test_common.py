"""What holds of every measure, whatever it measures."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from every_measure import (
    ATTACKS,
    CONTINUOUS,
    KEYWORDS,
    MEASURES,
    NO_MEASURE,
    OF_PLACES,
    OF_RATIOS,
    OF_SETS,
    OF_TEXTS,
    ROW_WISE,
    Columns,
    rows,
)

from fairvision import metrics
from fairvision.errors import InputError
from fairvision.metrics import Result

pytestmark = pytest.mark.filterwarnings("ignore:figures that rest on fewer")

every_measure = pytest.mark.parametrize("case", MEASURES)
every_attack = pytest.mark.parametrize("case", ATTACKS)
every_row_wise = pytest.mark.parametrize("case", ROW_WISE)


@pytest.fixture
def columns() -> Columns:
    train = {f"train_{name}": column for name, column in rows(seed=1, n=90).items()}
    return rows(seed=2, n=120) | train


@pytest.fixture
def many_columns() -> Columns:
    return rows(seed=2, n=400)


def call(case: str, columns: Columns, **keywords: Any) -> Any:
    function, arguments = {**MEASURES, **ATTACKS, **ROW_WISE}[case]
    return function(**{name: columns[of] for name, of in arguments.items()}, **keywords)


def each_row(columns: Columns, change: Callable[[Any], Any]) -> Columns:
    """Apply the same change of rows to all columns; training has other rows of its own."""
    return {name: change(column) for name, column in columns.items()}


def assert_same(a: Result, b: Result) -> None:
    assert a.value == pytest.approx(b.value, abs=1e-12)
    if a.pairs is not None:
        keys = [key for key in ("group", "label") if key in a.pairs]
        left = a.pairs.set_index(keys)["value"].sort_index()
        right = b.pairs.set_index(keys)["value"].sort_index()
        pd.testing.assert_series_equal(left, right, atol=1e-12, check_index_type=False)


def test_the_tables_hold_every_measure() -> None:
    cases = " ".join([*MEASURES, *ATTACKS, *ROW_WISE])
    assert {name for name in metrics.__all__ if name not in cases} == NO_MEASURE | OF_RATIOS


@every_measure
def test_value_lies_in_its_interval_and_counts_are_counts(case: str, columns: Columns) -> None:
    result = call(case, columns)
    assert np.isfinite(result.value)
    assert result.low <= result.value <= result.high
    assert 0 < result.n <= 120
    assert result.replicates.shape == (1000,)
    assert float(result) == result.value


@every_measure
def test_order_of_rows_does_not_matter(case: str, columns: Columns) -> None:
    random = np.random.default_rng(0)
    order = {n: random.permutation(n) for n in (90, 120)}
    mixed = each_row(columns, lambda column: column[order[len(column)]])
    assert_same(call(case, columns), call(case, mixed))


@every_measure
def test_names_of_groups_and_their_order_do_not_matter(case: str, columns: Columns) -> None:
    renamed = {"f": "zoe", "m": "adam", "x": "mia", None: None}
    back = {new: old for old, new in renamed.items()}
    changed = dict(columns)
    for name in ("group", "pred_group", "train_group"):
        changed[name] = np.array([renamed[group] for group in columns[name]], dtype=object)
    result = call(case, changed)
    if result.pairs is not None and case == "confusion":
        result.pairs["label"] = [back[group] for group in result.pairs["label"]]
    if result.pairs is not None and "group" in result.pairs:
        result.pairs["group"] = [back.get(group, group) for group in result.pairs["group"]]
    assert_same(call(case, columns), result)


@every_measure
def test_the_same_data_twice_give_the_same_value(case: str, columns: Columns) -> None:
    doubled = each_row(columns, lambda column: np.concatenate([column, column]))
    result, again = call(case, columns), call(case, doubled)
    if case not in OF_PLACES:
        assert_same(result, again)
    assert again.n == 2 * result.n
    if case not in OF_SETS:
        assert again.high - again.low < result.high - result.low


@every_measure
def test_unknown_rows_change_nothing(case: str, columns: Columns) -> None:
    def with_unknown(column: np.ndarray) -> np.ndarray:
        blank = np.full((7, *column.shape[1:]), None if column.dtype == object else np.nan)
        return np.concatenate([column, blank.astype(column.dtype)])

    longer = each_row(columns, with_unknown)
    result, same = call(case, columns), call(case, longer)
    assert_same(result, same)
    assert result.n == same.n


@every_measure
def test_other_containers_and_types_give_the_same(case: str, columns: Columns) -> None:
    expected = call(case, columns)
    assert_same(expected, call(case, each_row(columns, lambda column: column.tolist())))

    def in_pandas(column: np.ndarray) -> Any:
        return (
            pd.Series(column) if column.ndim == 1 else pd.DataFrame(column.reshape(len(column), -1))
        )

    shifted = each_row(columns, in_pandas)
    for column in shifted.values():
        column.index = column.index + 5
    assert shifted["group"].dtype == pd.Series(["a"]).dtype  # str since pandas 3
    assert_same(expected, call(case, shifted))


@pytest.mark.parametrize("case", [case for case in MEASURES if case not in OF_TEXTS])
def test_codes_and_tensors_give_the_same_value(case: str, columns: Columns) -> None:
    torch = pytest.importorskip("torch")

    def coded(column: np.ndarray) -> Any:
        if column.dtype == object:
            names = pd.Index(["cat", "dog", "elk"] if "cat" in column else ["f", "m", "x"])
            column = names.get_indexer(column)
        return torch.from_numpy(column)

    expected, found = call(case, columns), call(case, each_row(columns, coded))
    assert (found.value, found.n) == (pytest.approx(expected.value, abs=1e-12), expected.n)


@every_measure
def test_no_rows_or_nothing_known_is_nan(case: str, columns: Columns) -> None:
    for rows_left in (
        (5,) if "gap" in case or case == "mean_of_groups" else (0, 5)
    ):  # no rows, no groups: an error

        def blank(column: np.ndarray, rows_left: int = rows_left) -> np.ndarray:
            unknown = None if column.dtype == object else np.nan
            return np.full((rows_left, *column.shape[1:]), unknown).astype(column.dtype)

        result = call(case, each_row(columns, blank), replicates=20)
        assert np.isnan([result.value, result.low, result.high]).all()
        assert result.n == 0


@every_measure
def test_one_row_alone(case: str, columns: Columns) -> None:
    result = call(case, each_row(columns, lambda column: column[:1]))
    assert result.n in (0, 1)
    assert np.isnan(result.low) == np.isnan(result.high)
    assert not result.low >= result.high  # a share is told, with its exact interval, or nothing


@every_measure
def test_same_seed_same_replicates_other_seed_others(case: str, columns: Columns) -> None:
    once, again = call(case, columns, seed=7), call(case, columns, seed=7)
    np.testing.assert_array_equal(once.replicates, again.replicates)
    other = call(case, columns, seed=8)
    assert not np.array_equal(once.replicates, other.replicates)
    assert other.value == once.value


@pytest.mark.parametrize("case", [case for case in MEASURES if case not in OF_SETS])
def test_clusters_are_named_as_one_likes(case: str, columns: Columns) -> None:
    sampling: Columns = {"replicates": 20}
    plain = call(case, columns, **sampling)
    single = call(case, columns, cluster=np.arange(120)[::-1], **sampling)
    np.testing.assert_array_equal(single.replicates, plain.replicates)
    person = np.arange(120) // 4
    clustered = call(case, columns, cluster=person, **sampling)
    renamed = call(case, columns, cluster=[f"p{-of}" for of in person], **sampling)
    assert clustered.value == plain.value
    np.testing.assert_allclose(renamed.replicates, clustered.replicates)
    assert (clustered.replicates != plain.replicates).any()


@every_measure
def test_compared_with_itself_is_zero(case: str, columns: Columns) -> None:
    result = call(case, columns)
    difference = metrics.compare(result, result)
    assert (difference.value, difference.low, difference.high) == (0, 0, 0)
    assert difference.n == result.n


@every_measure
def test_batches_add_up_to_the_last_digit(case: str, columns: Columns) -> None:
    function, arguments = MEASURES[case]
    training = {name: of for name, of in arguments.items() if name.startswith("train_")}
    test = {name: of for name, of in arguments.items() if name not in training}
    whole, merged = metrics.Counts(), metrics.Counts()
    train, train_merged = metrics.Counts("train_counts"), metrics.Counts("train_counts")
    cuts = {120: (0, 1, 30, 31, 100, 120), 90: (0, 45, 90)}
    for some, counts in ((test, (whole, merged)), (training, (train, train_merged))):
        given = {name: columns[of] for name, of in some.items()}
        rows = len(next(iter(given.values()), ()))
        for start, stop in pairwise(cuts.get(rows, ())):
            part = {name: column[start:stop] for name, column in given.items()}
            counts[0].update(**part)
            other = metrics.Counts(counts[1].keyword)
            other.update(**part)
            counts[1].merge(other)
    expected = call(case, columns)
    for result in (function(**whole, **train), function(**merged, **train_merged)):
        assert (result.value, result.n) == (pytest.approx(expected.value, abs=1e-12), expected.n)
        if case not in CONTINUOUS:
            assert result.value == expected.value


def with_foreign_rows(column: np.ndarray) -> np.ndarray:
    """A column, and five rows of values that it would not hold."""
    value = {"O": "zebra", "b": True}.get(column.dtype.kind, 7.5)
    return np.concatenate([column, np.full((5, *column.shape[1:]), value).astype(column.dtype)])


def assert_equal(found: Result, expected: Result) -> None:
    assert found.value == pytest.approx(expected.value, abs=1e-12, nan_ok=True)
    assert found.n == expected.n
    assert (found.pairs is None) == (expected.pairs is None)
    if expected.pairs is not None:
        pd.testing.assert_frame_equal(found.pairs, expected.pairs, atol=1e-12)


def as_declared(column: np.ndarray) -> Any:
    """Names as categories, of which some never occur."""
    if column.dtype != object:
        return column
    categories = ["cat", "dog", "elk", "f", "m", "nobody", "x", "zebra"]
    return pd.Categorical(column, categories) if {*column} <= {*categories, None} else column


@every_measure
@pytest.mark.parametrize("container", [np.asarray, as_declared, np.ndarray.tolist])
def test_rows_that_count_0_times_are_not_there(
    case: str, container: Callable[[np.ndarray], Any], columns: Columns
) -> None:
    if case in OF_TEXTS:  # `Counts` takes lists of lists for tables
        container = np.asarray
    random = np.random.default_rng(3)
    times = {n: random.integers(0, 3, n) for n in (120, 90)}
    times[120][columns["label"] == "elk"] = 0
    of_rows = {keyword: np.append(times[n], [0] * 5) for keyword, n in KEYWORDS.items()}
    given = {name: container(with_foreign_rows(column)) for name, column in columns.items()}
    repeated = each_row(columns, lambda column: container(np.repeat(column, times[len(column)], 0)))
    function, arguments = MEASURES[case]
    expected = call(case, repeated, replicates=20)
    batches = []
    for keyword, counts in of_rows.items():
        mine = [a for a in arguments if a.startswith("train_") == (keyword == "train_counts")]
        if mine:
            batches.append(metrics.Counts(keyword))
            batches[-1].update(**{keyword: counts}, **{a: given[arguments[a]] for a in mine})
            assert batches[-1].total == counts.sum()
    keywords = {batch.keyword: of_rows[batch.keyword] for batch in batches}
    found = call(case, given, **keywords, replicates=20)
    assert_equal(found, expected)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    together = {name: column for batch in batches for name, column in batch.items()}
    assert_equal(function(**together, replicates=0), call(case, repeated, replicates=0))


@every_measure
def test_without_replicates_the_value_stays(case: str, columns: Columns) -> None:
    result = call(case, columns, replicates=0)
    assert result.value == call(case, columns).value
    assert np.isnan([result.low, result.high]).all()


@pytest.mark.parametrize(
    ("case", "argument"),
    [
        (case, argument)
        for case, (_, arguments) in {**MEASURES, **ROW_WISE}.items()
        for argument in arguments
        if len(arguments) > 1 and (case, argument) != ("context_typical_group", "labels")
    ],
)
def test_lengths_that_differ_are_an_error_that_names_one(
    case: str, argument: str, columns: Columns
) -> None:
    arguments = {**MEASURES, **ROW_WISE}[case][1]
    shorter = columns | {"short": columns[arguments[argument]][:-1]}
    function = {**MEASURES, **ROW_WISE}[case][0]
    given = {name: shorter["short" if name == argument else of] for name, of in arguments.items()}
    with pytest.raises(InputError, match=argument):
        function(**given)


@every_row_wise
def test_each_row_stands_by_itself(case: str, columns: Columns) -> None:
    order = np.random.default_rng(0).permutation(120)
    mixed = {
        name: column if name.startswith("train_") else column[order]
        for name, column in columns.items()
    }
    expected, found = call(case, columns)[order], call(case, mixed)
    pd.testing.assert_frame_equal(pd.DataFrame(expected), pd.DataFrame(found))


@every_row_wise
def test_no_rows_give_no_values(case: str, columns: Columns) -> None:
    assert len(call(case, each_row(columns, lambda column: column[:0]))) == 0


@every_attack
def test_attacks_are_the_same_with_the_same_seed(case: str, many_columns: Columns) -> None:
    once, again, other = (call(case, many_columns, rounds=3, seed=seed) for seed in (1, 1, 2))
    assert once.value == again.value
    assert (once.low, once.high, once.n) == (again.low, again.high, again.n)
    assert np.isfinite([once.value, other.value]).all()
    assert once.low <= once.value <= once.high


@every_attack
def test_attacks_do_not_see_the_names_of_groups(case: str, many_columns: Columns) -> None:
    renamed = {"f": "a-f", "m": "b-m", "x": "c-x", None: None}
    changed = dict(many_columns)
    for name in ("group", "pred_group"):
        changed[name] = np.array([renamed[group] for group in many_columns[name]], dtype=object)
    expected, found = call(case, many_columns, rounds=3), call(case, changed, rounds=3)
    assert found.value == pytest.approx(expected.value, abs=1e-9)


@every_attack
def test_attacks_take_lists_and_frames(case: str, many_columns: Columns) -> None:
    expected = call(case, many_columns, rounds=2)
    as_lists = each_row(many_columns, lambda column: column.tolist())
    assert call(case, as_lists, rounds=2).value == pytest.approx(expected.value, abs=1e-12)


@every_attack
def test_nothing_to_attack_is_nan(case: str, many_columns: Columns) -> None:
    for rows_left in (0, 4):

        def blank(column: np.ndarray, rows_left: int = rows_left) -> np.ndarray:
            unknown = None if column.dtype == object else np.nan
            return np.full((rows_left, *column.shape[1:]), unknown).astype(column.dtype)

        result = call(case, each_row(many_columns, blank), rounds=2)
        assert np.isnan([result.value, result.low, result.high]).all()
        assert result.n == 0
    one_group = many_columns | {
        "group": np.array([g and "f" for g in many_columns["group"]], dtype=object)
    }
    if "T->A" not in case:
        assert np.isnan(call(case, one_group, rounds=2).value)
