"""Measures inside fairlearn's MetricFrame, and its tables beside ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from fairlearn.metrics import MetricFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from fairvision import metrics
from fairvision.metrics import Result

pytestmark = pytest.mark.filterwarnings("ignore:figures that rest on fewer")

PER_GROUP: dict[str, Callable[..., Result]] = {
    "selection_rate": metrics.selection_rate,
    "true_positive_rate": metrics.true_positive_rate,
    "false_positive_rate": metrics.false_positive_rate,
    "true_negative_rate": metrics.true_negative_rate,
    "false_negative_rate": metrics.false_negative_rate,
    "precision": metrics.precision,
    "balanced_accuracy": metrics.balanced_accuracy,
    "f1_score": metrics.f1_score,
    "accuracy": metrics.accuracy,
    "error_rate": metrics.error_rate,
}
OF_SCORES: dict[str, Callable[..., Result]] = {
    "calibration_error": metrics.calibration_error,
    "average_precision": metrics.average_precision,
}
THEIRS = {
    "selection_rate": fairlearn.metrics.selection_rate,
    "true_positive_rate": fairlearn.metrics.true_positive_rate,
    "false_positive_rate": fairlearn.metrics.false_positive_rate,
    "true_negative_rate": fairlearn.metrics.true_negative_rate,
    "false_negative_rate": fairlearn.metrics.false_negative_rate,
    "precision": partial(sklearn.metrics.precision_score, zero_division=0),
    "f1_score": partial(sklearn.metrics.f1_score, zero_division=0),
    "accuracy": sklearn.metrics.accuracy_score,
    "error_rate": sklearn.metrics.zero_one_loss,
}


def quick(measures: dict[str, Callable[..., Result]]) -> dict[str, Callable[..., Result]]:
    return {name: partial(measure, replicates=0) for name, measure in measures.items()}


def images(n: int, seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {
        "truth": random.integers(0, 2, n),
        "predicted": random.integers(0, 2, n),
        "scores": random.random(n),
        "people": pd.DataFrame(
            {
                "gender": random.choice(["f", "m"], n),
                "race": random.choice(["a", "b", "c"], n),
            }
        ),
        "light": pd.DataFrame(
            {
                "light": random.choice(["day", "night"], n),
                "place": random.choice(["in", "out"], n),
            }
        ),
    }


def test_the_frame_has_every_measure_of_decisions_by_group() -> None:
    """And of the groups of several sensitive features within several control features."""
    of = images(400)
    frame = MetricFrame(
        metrics=quick(PER_GROUP),
        y_true=of["truth"],
        y_pred=of["predicted"],
        sensitive_features=of["people"],
        control_features=of["light"],
    )
    assert frame.by_group.index.names == ["light", "place", "gender", "race"]
    assert all(kind == "float64" for kind in frame.by_group.dtypes)
    assert len(frame.by_group) == 24
    table = metrics.group_metrics(
        of["truth"],
        of["predicted"],
        of["light"].join(of["people"]),
        list(PER_GROUP),
        replicates=0,
    )
    pd.testing.assert_frame_equal(frame.by_group, table.by_group, check_index_type=False)
    for setting, overall in frame.overall.iterrows():
        inside = (of["light"] == list(setting)).all(axis=1).to_numpy()
        here = metrics.group_metrics(
            of["truth"],
            of["predicted"],
            of["people"],
            list(PER_GROUP),
            where=inside,
            replicates=0,
        )
        np.testing.assert_allclose(overall, here.overall, atol=1e-12)
        np.testing.assert_allclose(frame.difference().loc[setting], here.difference["value"])
        np.testing.assert_allclose(frame.ratio().loc[setting], here.ratio["value"])
        worst = np.where(
            here.worst.index.isin(["error_rate", "false_positive_rate", "false_negative_rate"]),
            frame.group_max().loc[setting],
            frame.group_min().loc[setting],
        )
        np.testing.assert_allclose(worst.astype(float), here.worst["value"])


@pytest.mark.parametrize("measure", OF_SCORES)
def test_the_frame_has_the_measures_of_scores_by_group(measure: str) -> None:
    of = images(300)
    frame = MetricFrame(
        metrics={measure: partial(OF_SCORES[measure], replicates=0)},
        y_true=of["truth"],
        y_pred=of["scores"],
        sensitive_features=of["people"],
        control_features=of["light"]["light"],
    )
    groups = pd.concat([of["light"]["light"], of["people"]], axis=1)
    result = OF_SCORES[measure](of["truth"], of["scores"], groups, replicates=0)
    assert result.pairs is not None
    np.testing.assert_allclose(frame.by_group[measure], result.pairs["value"], atol=1e-12)
    assert list(frame.by_group.index) == result.pairs["group"].tolist()


def test_the_frame_has_measures_of_two_columns_of_names() -> None:
    of = images(200)
    truth, predicted = (np.array(["f", "m"])[of[name]] for name in ("truth", "predicted"))
    frame = MetricFrame(
        metrics={
            "divergence": partial(metrics.outcome_divergence, replicates=0),
            "right": partial(metrics.confusion, replicates=0),
            "recall": partial(metrics.true_positive_rate, positive="m", replicates=0),
        },
        y_true=truth,
        y_pred=predicted,
        sensitive_features=of["people"]["race"],
    )
    for group in "abc":
        kept = (of["people"]["race"] == group).to_numpy()
        found = frame.by_group.loc[group]
        divergence = metrics.outcome_divergence(truth[kept], predicted[kept])
        assert found["divergence"] == divergence.value
        assert found["right"] == pytest.approx((truth == predicted)[kept].mean())
        assert found["recall"] == pytest.approx((predicted[kept & (truth == "m")] == "m").mean())


def test_weights_go_through_the_frame_as_a_parameter() -> None:
    of = images(300)
    weights = np.random.default_rng(1).choice([0.5, 1.0, 3.0], 300)
    common = {"y_true": of["truth"], "y_pred": of["predicted"], "sensitive_features": of["people"]}
    ours = MetricFrame(
        metrics=quick({name: PER_GROUP[name] for name in THEIRS}),
        sample_params={name: {"weights": weights} for name in THEIRS},
        **common,
    )
    theirs = MetricFrame(
        metrics=THEIRS,
        sample_params={name: {"sample_weight": weights} for name in THEIRS},
        **common,
    )
    np.testing.assert_allclose(ours.by_group, theirs.by_group.astype(float), atol=1e-12)


@settings(max_examples=25)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 1),
            st.integers(0, 1),
            st.sampled_from("fm"),
            st.sampled_from("abc"),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_one_table_of_ours_is_a_frame_of_theirs(rows: list[tuple[int, int, str, str]]) -> None:
    """Where theirs says 0, ours may say that there is no denominator."""
    truth, predicted, gender, race = (np.array(of) for of in zip(*rows))
    people = pd.DataFrame({"gender": gender, "race": race})
    frame = MetricFrame(metrics=THEIRS, y_true=truth, y_pred=predicted, sensitive_features=people)
    table = metrics.group_metrics(truth, predicted, people, list(THEIRS), replicates=0)
    occurring = frame.by_group.dropna(how="all")  # theirs lists what does not occur
    assert table.by_group.index.tolist() == occurring.index.tolist()
    ours, theirs = table.by_group.to_numpy(), occurring.to_numpy(float)
    undefined = np.isnan(ours)
    np.testing.assert_allclose(ours[~undefined], theirs[~undefined], atol=1e-12)
    assert (theirs[undefined] == 0).all()
    n = np.column_stack([table[name].pairs["n"] for name in THEIRS])  # type: ignore[index]
    np.testing.assert_array_equal(undefined, n == 0)
    defined = table.overall.dropna()
    np.testing.assert_allclose(defined, frame.overall[defined.index].astype(float), atol=1e-12)


def test_a_missing_intersection_is_nan_in_both() -> None:
    people = pd.DataFrame({"gender": ["f", "f", "m"], "race": ["a", "b", "a"]})
    frame = MetricFrame(
        metrics={"accuracy": partial(metrics.accuracy, replicates=0)},
        y_true=[1, 0, 1],
        y_pred=[1, 1, 1],
        sensitive_features=people,
    )
    declared = metrics.group_metrics(
        [1, 0, 1], [1, 1, 1], people.astype("category"), ["accuracy"], replicates=0
    )
    np.testing.assert_array_equal(frame.by_group, declared.by_group)
    assert np.isnan(frame.by_group.loc[("m", "b"), "accuracy"])


def test_intervals_agree_with_those_of_the_frame() -> None:
    """Theirs are quantiles of resampled rows, too: the same but for chance."""
    of = images(500, seed=3)
    gender = of["people"]["gender"]
    frame = MetricFrame(
        metrics=fairlearn.metrics.true_positive_rate,
        y_true=of["truth"],
        y_pred=of["predicted"],
        sensitive_features=gender,
        n_boot=100,
        ci_quantiles=[0.025, 0.975],
        random_state=0,
    )
    ours = metrics.true_positive_rate(of["truth"], of["predicted"], gender)
    assert ours.pairs is not None
    low, high = (end.astype(float) for end in frame.by_group_ci)
    np.testing.assert_allclose(ours.pairs["low"], low, atol=0.04)
    np.testing.assert_allclose(ours.pairs["high"], high, atol=0.04)
    low, high = frame.overall_ci
    assert [ours.low, ours.high] == pytest.approx([low, high], abs=0.04)
