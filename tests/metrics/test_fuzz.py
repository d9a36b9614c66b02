"""Whatever is given: one clear error, or NaN with n, or the right number."""

from __future__ import annotations

import importlib.util
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from brute_force import complete, directed, mals, multi, universe
from hypothesis import given, settings
from hypothesis import strategies as st

from fairvision import metrics
from fairvision.errors import FairvisionWarning, InputError
from fairvision.metrics import Result

_spec = importlib.util.spec_from_file_location("common", Path(__file__).with_name("test_common.py"))
assert _spec is not None
assert _spec.loader is not None
common = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(common)

Columns = dict[str, Any]
Row = tuple[Any, Any]  # the labels that hold, and the group; None where unknown


def as_list(column: np.ndarray) -> Any:
    return column.tolist() if len(column) else column  # an empty list is no table


def as_pandas(column: np.ndarray) -> Any:
    if column.ndim > 2:
        return column
    return pd.Series(column) if column.ndim == 1 else pd.DataFrame(column)


def as_categorical(column: np.ndarray) -> Any:
    names = column.dtype == object and column.ndim == 1
    plain = names and all(value is None or isinstance(value, str) for value in column)
    return pd.Categorical(column) if plain else column


def as_codes(column: np.ndarray) -> Any:
    """Names as whole numbers, −1 where unknown; tables of small whole numbers."""
    if column.dtype == object and column.ndim == 1:
        names = pd.Index(["cat", "dog", "elk", "f", "m", "x"], dtype=object)
        return np.array([names.get_indexer([str(value)])[0] for value in column], dtype=np.int8)
    return column


def as_float32(column: np.ndarray) -> Any:
    return column.astype(np.float32) if column.dtype == float else column


CONTAINERS = [np.asarray, as_list, as_pandas, as_categorical, as_codes, as_float32]


def all_unknown(column: np.ndarray) -> np.ndarray:
    blank = None if column.dtype == object else np.nan
    return np.full(column.shape, blank).astype(column.dtype if column.dtype != bool else float)


def all_the_same(column: np.ndarray) -> np.ndarray:
    return np.broadcast_to(column[:1], column.shape).copy() if len(column) else column


def zeros(column: np.ndarray) -> np.ndarray:
    return column if column.dtype == object else np.zeros_like(column)


def ones(column: np.ndarray) -> np.ndarray:
    return column if column.dtype == object else np.ones_like(column)


def with_infinity(column: np.ndarray) -> np.ndarray:
    if column.dtype != float or not column.size:
        return column
    changed = column.copy()
    changed.flat[0] = np.inf
    return changed


def with_half(column: np.ndarray) -> np.ndarray:
    changed = column.astype(object)
    if changed.size:
        changed.flat[-1] = 0.5
    return changed


def with_a_thing(column: np.ndarray) -> np.ndarray:
    changed = column.astype(object)
    if changed.size:
        changed.flat[0] = {"not", "hashable"}
    return changed


def one_shorter(column: np.ndarray) -> np.ndarray:
    return column[1:]


def one_more_dimension(column: np.ndarray) -> np.ndarray:
    return column[..., None]


HARMLESS = [np.asarray, np.asarray, all_unknown, all_the_same, zeros, ones]
HARMFUL = [with_infinity, with_half, with_a_thing, one_shorter, one_more_dimension]


@st.composite
def arguments(draw: st.DrawFn, columns: Iterable[str], changes: list) -> Columns:
    """Columns of a few rows, each changed and in some container."""
    random = draw(st.integers(0, 10_000))
    sizes = draw(st.integers(0, 14)), draw(st.integers(0, 9))
    drawn = common.rows(random, sizes[0])
    drawn |= {f"train_{name}": of for name, of in common.rows(random + 1, sizes[1]).items()}
    return {
        name: draw(st.sampled_from(CONTAINERS))(draw(st.sampled_from(changes))(drawn[name]))
        for name in columns
    }


@st.composite
def sampling(draw: st.DrawFn, rows: int) -> Columns:
    """Keywords of a measure of so many rows."""
    keywords: Columns = {"replicates": draw(st.sampled_from([0, 1, 7]))}
    random = np.random.default_rng(draw(st.integers(0, 99)))
    for name, values in {
        "counts": random.integers(0, 3, rows),
        "weights": random.choice([0.0, 0.5, 1.0, 2.5], rows),
        "strata": random.choice(np.array(["a", "b", None], dtype=object), rows),
    }.items():
        if draw(st.integers(0, 3)) == 0:
            keywords[name] = values
    if draw(st.integers(0, 4)) == 0:
        keywords["interval"] = "bca"
    return keywords


def check(result: Result) -> None:
    """A number in order, or NaN; never infinite."""
    figures = np.array([result.value, result.low, result.high])
    assert not np.isinf(figures).any()
    assert not np.isinf(result.replicates).any()
    assert result.n >= 0
    if result.n == 0:
        assert np.isnan(figures).all()
    if result.pairs is not None:
        assert not np.isinf(result.pairs["value"]).any()
        assert (result.pairs["n"] >= 0).all()
        assert result.pairs.loc[result.pairs["n"] == 0, "value"].isna().all()
    assert repr(result)
    assert result._repr_html_()


def run(case: str, given_columns: Columns, **keywords: Any) -> Result | None:
    """The result, or None where the input is refused in one line."""
    function, takes = common.MEASURES[case]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FairvisionWarning)
            return function(**{name: given_columns[of] for name, of in takes.items()}, **keywords)
    except InputError as error:
        one_line = str(error)
    assert re.fullmatch(".+", one_line)
    return None


@pytest.mark.parametrize("case", common.MEASURES)
@settings(max_examples=8)
@given(data=st.data())
def test_odd_input_is_an_error_or_a_figure(case: str, data: st.DataObject) -> None:
    columns = {*common.MEASURES[case][1].values()}
    drawn = data.draw(arguments(sorted(columns), HARMLESS))
    rows = next((len(of) for name, of in drawn.items() if not name.startswith("train_")), 0)
    result = run(case, drawn, **data.draw(sampling(rows)))
    if result is not None:
        check(result)


@pytest.mark.parametrize("case", common.MEASURES)
@settings(max_examples=8)
@given(data=st.data())
def test_broken_input_is_an_error_or_a_figure(case: str, data: st.DataObject) -> None:
    columns = {*common.MEASURES[case][1].values()}
    drawn = data.draw(arguments(sorted(columns), HARMLESS + HARMFUL))
    result = run(case, drawn, replicates=3)
    if result is not None:
        check(result)


def is_known(value: Any) -> bool:
    return value is not None and value == value and value not in (-1, "unknown")


def held(value: Any) -> frozenset | None:
    """The labels of a row: those of a table, or the one; None if unknown."""
    if isinstance(value, np.ndarray):
        return None if np.isnan(value).any() else frozenset(np.flatnonzero(value).tolist())
    return frozenset([value]) if is_known(value) else None


def rows_of(drawn: Columns, labels: str, group: str, counts: np.ndarray | None = None) -> list[Row]:
    """Labels and groups of the rows, repeated as counts say, None where unknown."""
    times = np.ones(len(drawn[group]), int) if counts is None else counts
    return [
        (held(label), of if is_known(of) else None)
        for label, of, n in zip(drawn[labels], drawn[group], times)
        for _ in range(n)
    ]


def oracle(case: str, drawn: Columns, kind: str, counts: np.ndarray) -> float:
    """What the definition gives, of rows repeated as counts say."""
    everything = [
        rows_of(drawn, f"{part}{kind}", f"{part}group", None if part == "train_" else counts)
        for part in ("train_", "", "pred_")
    ]
    train, true, pred = everything
    groups, labels = universe(train, true, pred)
    labels = list(range(4)) if kind == "table" else labels
    (known_train,) = complete(train)
    if case == "undirected":
        groups, _ = universe(train, pred)
        return multi(known_train, *complete(pred), groups)
    if case == "mals":
        groups, own = universe(train, pred)
        return mals(known_train, *complete(pred), groups, labels if kind == "table" else own)
    if case == "A->T":
        said = [(label, group) for (label, _), (_, group) in zip(pred, true)]
    else:
        said = [(label, group) for (label, _), (_, group) in zip(true, pred)]
    groups, own = universe(train, true, said)
    labels = labels if kind == "table" else own
    return directed(known_train, *complete(true, said), groups, labels, case == "A->T")


def measure(case: str, drawn: Columns, kind: str, **keywords: Any) -> Result:
    training = {"train_labels": drawn[f"train_{kind}"], "train_groups": drawn["train_group"]}
    truth = {"labels": drawn[kind], "groups": drawn["group"]}
    labels, groups = drawn[f"pred_{kind}"], drawn["pred_group"]
    if case == "undirected":
        function: Callable[..., Result] = metrics.multi_attribute_bias_amplification
        return function(**training, pred_labels=labels, pred_groups=groups, **keywords)
    if case == "mals":
        function = metrics.bias_amplification_mals
        return function(**training, pred_labels=labels, pred_groups=groups, **keywords)
    said = {"pred_labels": labels} if case == "A->T" else {"pred_groups": groups}
    return metrics.directional_bias_amplification(**truth, **training, **said, **keywords)


@pytest.mark.parametrize("kind", ["label", "table"])
@pytest.mark.parametrize("case", ["mals", "A->T", "T->A", "undirected"])
@settings(max_examples=25)
@given(data=st.data())
def test_amplification_is_its_definition(case: str, kind: str, data: st.DataObject) -> None:
    names = [f"{part}{of}" for part in ("", "pred_", "train_") for of in (kind, "group")]
    random = data.draw(st.integers(0, 10_000))
    drawn = common.rows(random, data.draw(st.integers(0, 14)))
    n = len(drawn["group"])
    drawn |= {
        f"train_{name}": of
        for name, of in common.rows(random + 1, data.draw(st.integers(0, 9))).items()
    }
    changes = st.sampled_from([np.asarray, np.asarray, all_unknown, all_the_same, zeros, ones])
    drawn = {name: data.draw(changes)(drawn[name]) for name in names}
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), dtype=int)
    expected = oracle(case, drawn, kind, counts)
    present = {
        name: column if "train_" in name else column[counts > 0] for name, column in drawn.items()
    }
    container = data.draw(st.sampled_from([np.asarray, as_list, as_pandas, as_float32]))
    shown = {name: container(column) for name, column in present.items()}
    result = measure(case, shown, kind, counts=counts[counts > 0], replicates=2)
    assert result.value == pytest.approx(expected, abs=1e-12, nan_ok=True)
    check(result)
