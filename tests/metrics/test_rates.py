from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fairvision import metrics
from fairvision.errors import FairvisionWarning, InputError
from fairvision.metrics import Result

pytestmark = pytest.mark.filterwarnings("ignore:figures that rest on fewer")

Outcome = tuple[bool, bool]  # whether a label is true of an image, whether it is predicted
Row = tuple[Any, Any, Any]  # truth, prediction, group
NAN = float("nan")


def share(part: list[Outcome], whole: list[Outcome]) -> tuple[float, int]:
    return (len(part) / len(whole) if whole else NAN), len(whole)


def harmonic(of: list[Outcome]) -> tuple[float, int]:
    either = [o for o in of if any(o)]
    both = [o for o in of if all(o)]
    return (2 * len(both) / (len(either) + len(both)) if either else NAN), len(either)


# of the outcomes of one label: the rate and its n
DEFINITIONS: dict[str, Callable[[list[Outcome]], tuple[float, int]]] = {
    "selection_rate": lambda of: share([o for o in of if o[1]], of),
    "true_positive_rate": lambda of: share([o for o in of if all(o)], [o for o in of if o[0]]),
    "false_negative_rate": lambda of: share(
        [o for o in of if o == (True, False)], [o for o in of if o[0]]
    ),
    "false_positive_rate": lambda of: share(
        [o for o in of if o == (False, True)], [o for o in of if not o[0]]
    ),
    "true_negative_rate": lambda of: share(
        [o for o in of if not any(o)], [o for o in of if not o[0]]
    ),
    "precision": lambda of: share([o for o in of if all(o)], [o for o in of if o[1]]),
    "f1_score": harmonic,
}
every_rate = pytest.mark.parametrize("measure", DEFINITIONS)


def known(value: Any) -> bool:
    return value is not None and value == value and value != "unknown"


def outcomes(rows: list[Row], label: Any) -> list[Outcome]:
    return [
        (label in truth, label in predicted)
        if isinstance(truth, tuple)
        else (label == truth, label == predicted)
        for truth, predicted, _ in rows
    ]


def mean(values: list[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return sum(defined) / len(defined) if defined else NAN


def assert_defined(
    result: Result, rows: list[Row], labels: list[Any], of: Callable[..., tuple[float, int]]
) -> None:
    """The value and all pairs are those of the definition."""
    complete = taking_part(result.name, rows)
    value = mean([of(outcomes(complete, label))[0] for label in labels])
    assert result.value == pytest.approx(value, abs=1e-12, nan_ok=True)
    assert result.pairs is not None
    groups = sorted({group for *_, group in rows if known(group)})
    if any(not known(group) for *_, group in complete):
        groups.append("unknown")
    expected = [
        (group, *of(outcomes([row for row in complete if named(row[2]) == group], label)))
        for group in groups
        for label in labels
    ]
    found = list(result.pairs[["group", "value", "n"]].itertuples(index=False))
    assert [(group, n) for group, _, n in found] == [(group, n) for group, _, n in expected]
    np.testing.assert_allclose([v for _, v, _ in found], [v for _, v, _ in expected], atol=1e-12)


def taking_part(measure: str, rows: list[Row]) -> list[Row]:
    """Rows whose truth is known, unless the measure needs none, and whose prediction is."""
    blind = measure == "selection_rate"
    return [row for row in rows if (blind or known(row[0])) and known(row[1])]


def named(group: Any) -> Any:
    return group if known(group) else "unknown"


people = st.sampled_from(["f", "m", "x", None, NAN, "unknown"])
binary = st.sampled_from([0, 1, None])
classes = st.sampled_from(["cat", "dog", "elk", None])
sets = st.sets(st.sampled_from([0, 1, 2])).map(tuple)


def rows_of(values: st.SearchStrategy) -> st.SearchStrategy[list[Row]]:
    return st.lists(st.tuples(values, values, people), max_size=25)


def columns(rows: list[Row]) -> tuple[Any, Any, Any]:
    arrays = [np.empty(len(rows), dtype=object) for _ in range(3)]
    for i, row in enumerate(rows):
        for array, value in zip(arrays, row):
            array[i] = value
    return arrays[0], arrays[1], arrays[2]


@every_rate
@settings(max_examples=60)
@given(rows=rows_of(binary))
def test_of_zeros_and_ones_it_is_the_definition(measure: str, rows: list[Row]) -> None:
    result = getattr(metrics, measure)(*columns(rows), replicates=0)
    assert_defined(result, rows, [1], DEFINITIONS[measure])
    complete = taking_part(measure, rows)
    assert result.n == DEFINITIONS[measure](outcomes(complete, 1))[1]


@every_rate
@settings(max_examples=60)
@given(rows=rows_of(classes), positive=st.sampled_from(["cat", "dog", None]))
def test_of_classes_each_or_one_of_them(
    measure: str, rows: list[Row], positive: str | None
) -> None:
    labels = sorted({label for row in rows for label in row[:2] if known(label)})
    if positive is not None and positive not in labels:
        return
    result = getattr(metrics, measure)(*columns(rows), positive=positive, replicates=0)
    if labels:
        assert_defined(result, rows, [positive] if positive else labels, DEFINITIONS[measure])


@every_rate
@settings(max_examples=60)
@given(rows=rows_of(sets), positive=st.sampled_from([0, 2, None]))
def test_of_many_labels_each_or_one_of_them(
    measure: str, rows: list[Row], positive: int | None
) -> None:
    *tables, groups = columns(rows)
    truth, predicted = (
        np.array([[label in held for label in range(3)] for held in table]).reshape(-1, 3)
        for table in tables
    )
    function = getattr(metrics, measure)
    result = function(truth, predicted, groups, positive=positive, replicates=0)
    labels = [0, 1, 2] if positive is None else [positive]
    assert_defined(result, rows, labels, DEFINITIONS[measure])
    in_any = [any(used(measure, *pair) for pair in zip(*row)) for row in zip(truth, predicted)]
    if positive is None:
        assert result.n == sum(in_any)


def used(measure: str, true: bool, said: bool) -> bool:
    """Whether one outcome stands in the denominator."""
    return DEFINITIONS[measure]([(true, said)])[1] == 1


@settings(max_examples=40)
@given(pair=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_of_classes_the_means_are_those_of_scikit_learn(pair: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pair).T + 5
    present = np.unique(truth)
    of = {
        "true_positive_rate": sklearn.metrics.recall_score(
            truth, predicted, labels=present, average="macro"
        ),
        "precision": sklearn.metrics.precision_score(
            truth, predicted, labels=np.unique(predicted), average="macro"
        ),
        "f1_score": sklearn.metrics.f1_score(truth, predicted, average="macro"),
        "balanced_accuracy": sklearn.metrics.recall_score(
            truth, predicted, labels=present, average="macro"
        ),
    }
    for measure, expected in of.items():
        result = getattr(metrics, measure)(truth, predicted, replicates=0)
        assert float(result) == pytest.approx(expected, abs=1e-12)


@given(
    pair=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30).filter(
        lambda pair: len({true for true, _ in pair}) == 2
    )
)
def test_balanced_accuracy_of_two_is_that_of_scikit_learn(pair: list[Outcome]) -> None:
    truth, predicted = np.array(pair).T
    result = metrics.balanced_accuracy(truth, predicted, replicates=0)
    expected = sklearn.metrics.balanced_accuracy_score(truth, predicted)
    assert float(result) == pytest.approx(expected, abs=1e-12)


def test_balanced_accuracy_needs_both_rates_and_of_classes_those_that_occur() -> None:
    result = metrics.balanced_accuracy([1, 1, 1, 0], [1, 0, 1, 0], ["f", "f", "m", "m"])
    assert result.pairs is not None
    assert np.isnan(result.pairs["value"][0])  # no negative image of f
    assert result.pairs["n"].tolist() == [2, 2]
    assert (result.pairs["value"][1], result.value) == (1, pytest.approx((2 / 3 + 1) / 2))
    of_classes = metrics.balanced_accuracy(["a", "a", "b"], ["a", "c", "b"])
    assert float(of_classes) == 0.75  # c is only predicted


@every_rate
def test_weights_are_repetitions_and_n_goes_on_counting_images(measure: str) -> None:
    random = np.random.default_rng(0)
    truth, predicted = random.integers(0, 2, (2, 60))
    groups = random.choice(["f", "m"], 60)
    times = random.integers(0, 4, 60)
    function = getattr(metrics, measure)
    weighted = function(truth, predicted, groups, weights=times / 2)
    repeated = function(*(np.repeat(of, times) for of in (truth, predicted, groups)))
    once = function(truth, predicted, groups)
    assert weighted.value == pytest.approx(repeated.value, abs=1e-12)
    np.testing.assert_allclose(weighted.pairs["value"], repeated.pairs["value"], atol=1e-12)
    assert (weighted.n, weighted.pairs["n"].tolist()) == (once.n, once.pairs["n"].tolist())
    assert weighted.low < weighted.value < weighted.high


@every_rate
def test_images_that_take_part_are_as_if_alone(measure: str) -> None:
    random = np.random.default_rng(1)
    truth, predicted = random.choice(np.array(["a", "b", None], dtype=object), (2, 80))
    groups, where = random.choice(["f", "m"], 80), random.random(80) < 0.5
    function = getattr(metrics, measure)
    some = function(truth, predicted, groups, where=where)
    alone = function(truth[where], predicted[where], groups[where])
    assert (some.value, some.n) == (alone.value, alone.n)
    pd.testing.assert_frame_equal(
        some.pairs[["group", "label", "value", "n"]], alone.pairs[["group", "label", "value", "n"]]
    )


def test_a_rate_without_denominator_is_nan_with_its_n() -> None:
    truth, predicted = [1, 1, 0, 0], [0, 0, 0, 0]
    groups = ["f", "f", "m", "m"]
    for measure, n in {
        "selection_rate": [2, 2],
        "true_positive_rate": [2, 0],
        "false_positive_rate": [0, 2],
        "precision": [0, 0],
        "f1_score": [2, 0],
        "balanced_accuracy": [2, 2],
    }.items():
        pairs = getattr(metrics, measure)(truth, predicted, groups).pairs
        assert pairs["n"].tolist() == n
        undefined = pairs[["value", "low", "high"]].isna()
        lacks = [True, True] if measure == "balanced_accuracy" else [of == 0 for of in n]
        assert undefined.all(axis=1).tolist() == undefined.any(axis=1).tolist() == lacks


def test_declared_groups_are_listed_and_unknown_ones_last() -> None:
    groups = pd.Categorical(["m", None, "m"], categories=["x", "m", "f"])
    result = metrics.selection_rate([1, 1, 1], [1, 0, 0], groups)
    assert result.pairs is not None
    assert result.pairs["group"].tolist() == ["x", "m", "f", "unknown"]
    assert result.pairs["n"].tolist() == [0, 2, 0, 1]
    assert float(result) == pytest.approx(1 / 3)  # of all images, known or not
    hidden = metrics.selection_rate(None, [1, 0, None], ["f", "m", None])
    assert hidden.pairs is not None
    assert hidden.pairs["group"].tolist() == ["f", "m"]  # the unknown one takes no part


def test_intersections_are_the_groups_of_several_attributes() -> None:
    attributes = {
        "gender": ["f", "f", "m", "m", None, "f"],
        "age": ["old", "young", "old", "old", "old", "young"],
    }
    predicted = [1, 0, 1, 0, 1, 1]
    result = metrics.selection_rate(None, predicted, attributes)
    assert result.pairs is not None
    expected = {("f", "old"): 1, ("f", "young"): 0.5, ("m", "old"): 0.5, "unknown": 1}
    assert dict(zip(result.pairs["group"], result.pairs["value"])) == expected
    frame = pd.DataFrame(attributes)
    as_frame = metrics.selection_rate(None, predicted, frame)
    pd.testing.assert_frame_equal(result.pairs, as_frame.pairs)
    declared = metrics.selection_rate(None, predicted, frame.astype("category"))
    assert declared.pairs is not None
    assert declared.pairs["n"].tolist() == [1, 2, 2, 0, 1]  # nobody is m and young


def test_many_attributes_need_no_room_for_what_does_not_occur() -> None:
    random = np.random.default_rng(0)
    attributes = {f"a{i}": random.integers(0, 1000, 200) for i in range(5)}  # 10^15 could be
    result = metrics.selection_rate(None, random.integers(0, 2, 200), attributes, replicates=0)
    assert result.pairs is not None
    names = list(zip(*attributes.values()))
    assert result.pairs["group"].tolist() == sorted(set(names))


def test_an_attribute_that_is_nowhere_known() -> None:
    attributes = {"gender": ["f", "m"], "age": [None, None]}
    result = metrics.selection_rate(None, [1, 0], attributes)
    assert result.pairs is not None
    assert result.pairs[["group", "value", "n"]].to_numpy().tolist() == [["unknown", 0.5, 2]]


@pytest.mark.parametrize("share_of_n", [0.1, 0.5, 0.85])
def test_the_interval_of_a_share_is_binomial(share_of_n: float) -> None:
    """A resample of n images holds a binomial number of those selected, exactly."""
    n = 200
    selected = round(share_of_n * n)
    result = metrics.selection_rate(None, [1] * selected + [0] * (n - selected), replicates=20_000)
    exact = stats.binom(n, selected / n)
    assert np.allclose([result.low, result.high], exact.ppf([0.025, 0.975]) / n, atol=1.01 / n)
    assert result.replicates.std() == pytest.approx(exact.std() / n, rel=0.03)


def test_at_the_edge_the_interval_is_that_of_clopper_and_pearson() -> None:
    result = metrics.true_positive_rate(
        [1] * 30 + [0] * 9, [1] * 20 + [0] * 19, ["f"] * 20 + ["m"] * 19
    )
    assert result.pairs is not None
    low, high = stats.binomtest(20, 20).proportion_ci(method="exact")
    assert tuple(result.pairs.loc[0, ["low", "high"]]) == (pytest.approx(low), high)
    low, high = stats.binomtest(0, 10).proportion_ci(method="exact")
    assert tuple(result.pairs.loc[1, ["low", "high"]]) == (low, pytest.approx(high))


@settings(max_examples=40)
@given(data=st.data())
def test_intervals_hold_the_value_of_every_pair(data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 999)))
    n = data.draw(st.integers(1, 120))
    of = data.draw(st.sampled_from([[0, 1], ["a", "b", "c"]]))
    truth, predicted = random.choice(of, (2, n), p=random.dirichlet(np.ones(len(of))))
    groups = random.choice(["f", "m", "x"], n, p=random.dirichlet(np.ones(3)))
    measure = data.draw(st.sampled_from([*DEFINITIONS, "balanced_accuracy"]))
    result = getattr(metrics, measure)(truth, predicted, groups, seed=data.draw(st.integers(0, 9)))
    shown = result.pairs[result.pairs["low"].notna()]
    assert (shown["low"] <= shown["value"]).all()
    assert (shown["value"] <= shown["high"]).all()
    assert ((shown["low"] >= 0) & (shown["high"] <= 1)).all()


def test_a_model_better_for_every_image_has_a_difference_above_zero() -> None:
    truth = [1] * 100
    worse, better = [1] * 50 + [0] * 50, [1] * 60 + [0] * 40
    a, b = (metrics.true_positive_rate(truth, said) for said in (worse, better))
    difference = metrics.compare(a, b)
    assert difference.value == pytest.approx(0.1)
    assert 0 < difference.low < difference.high
    assert a.high > b.low  # the two intervals alone would not tell


@every_rate
def test_truth_is_needed_but_for_the_selection_rate(measure: str) -> None:
    function = getattr(metrics, measure)
    if measure == "selection_rate":
        assert float(function(None, [1, 0])) == 0.5
        return
    with pytest.raises(InputError, match=f"{measure} needs truth"):
        function(None, [1, 0])


def test_the_positive_label_is_one_of_those_there() -> None:
    table = pd.DataFrame({"hat": [1, 0], "tie": [0, 0]})
    assert float(metrics.selection_rate(table, table, positive="hat")) == 0.5
    with pytest.raises(InputError, match="'dog', but no column"):
        metrics.selection_rate(table, table, positive="dog")
    with pytest.raises(InputError, match="is 1, but no column"):
        metrics.selection_rate([[1], [0]], [[1], [1]], positive=1)
    with pytest.raises(InputError, match="'dog', but the labels are numbers"):
        metrics.selection_rate([1, 0], [1, 1], positive="dog")
    with pytest.raises(InputError, match="is 1, but the labels are names"):
        metrics.selection_rate(["dog", "cat"], ["dog", "dog"], positive=1)
    with pytest.warns(FairvisionWarning, match="none is predicted, the label 'elk'"):
        assert float(metrics.selection_rate(["dog"], ["cat"], positive="elk")) == 0
    with pytest.warns(FairvisionWarning, match="none is predicted, the label 1"):
        metrics.selection_rate([2, 3], [2, 3], positive=1)
    assert float(metrics.selection_rate([0, 0], [0, 0], positive=1)) == 0  # no warning


def test_groups_that_are_no_groups() -> None:
    twice = pd.DataFrame([["f", "a"], ["m", "b"]], columns=["gender", "gender"])
    with pytest.raises(InputError, match="two columns of the same name"):
        metrics.selection_rate(None, [1, 0], twice)
    with pytest.raises(InputError, match="no attribute"):
        metrics.selection_rate(None, [1, 0], {})
    with pytest.raises(InputError, match="predicted must hold"):
        metrics.selection_rate([1, 0], None)  # type: ignore[arg-type]


def test_small_groups_are_told_and_unknown_ones_are_not() -> None:
    groups = ["f"] * 10 + ["m"] * 3 + [None] * 2
    with pytest.warns(FairvisionWarning, match="fewer than 10 images: selection_rate of m on 3$"):
        metrics.selection_rate(None, [1] * 15, groups)


def test_a_selection_rate_is_the_same_whatever_is_known_of_the_truth() -> None:
    for truth in (None, [None, None, None], [1, None, 0], [0, 0, 0]):
        result = metrics.selection_rate(truth, [1, 0, 0], ["f", "f", "m"], replicates=0)
        assert (result.value, result.n) == (pytest.approx(1 / 3), 3)
        gap = metrics.demographic_parity_difference(truth, [1, 0, 0], ["f", "f", "m"], replicates=0)
        assert gap == 0.5
