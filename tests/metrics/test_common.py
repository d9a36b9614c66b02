"""What holds of every measure, whatever it measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairvision import metrics
from fairvision.errors import InputError
from fairvision.metrics import Result

pytestmark = pytest.mark.filterwarnings("ignore:figures that rest on fewer")

Columns = dict[str, Any]


def gap_between_groups(values: Any, groups: Any, **keywords: Any) -> Result:
    return metrics.gap(metrics.mean_by_group(values, groups, **keywords))


def mean_of_groups(values: Any, groups: Any, **keywords: Any) -> Result:
    return metrics.mean_of_groups(metrics.mean_by_group(values, groups, **keywords))


def ratio_of_groups(truth: Any, predicted: Any, groups: Any, **keywords: Any) -> Result:
    return metrics.group_ratio(metrics.precision(truth, predicted, groups, **keywords))


def worst_of_groups(truth: Any, scores: Any, groups: Any, **keywords: Any) -> Result:
    return metrics.worst_group(metrics.calibration_error(truth, scores, groups, **keywords))


def table_of_groups(truth: Any, predicted: Any, groups: Any, **keywords: Any) -> Result:
    return metrics.group_metrics(truth, predicted, groups, ["f1_score"], **keywords)["f1_score"]


def bleu_of_caption_metrics(captions: Any, references: Any, groups: Any, **keywords: Any) -> Result:
    return metrics.caption_metrics(captions, references, groups, **keywords)["bleu"]


def in_search(measure: Callable[..., Result]) -> Callable[..., Result]:
    """A measure of the first fifth of the images."""
    return lambda scores, groups, **keywords: measure(scores, groups, 0.2, **keywords)


def staying_decisions(scores: Any, pair: Any, groups: Any, **keywords: Any) -> Result:
    """Without figures of two groups, whose order is that of names."""
    result = metrics.counterfactual_consistency(scores, pair, groups, **keywords)
    return replace(result, pairs=None)


def between_curves(truth: Any, scores: Any, groups: Any, **keywords: Any) -> Result:
    return replace(metrics.abroca(truth, scores, groups, **keywords), pairs=None)


def shift_of_scores(scores: Any, pair: Any, groups: Any, **keywords: Any) -> Result:
    result = metrics.counterfactual_consistency(scores, pair, groups, **keywords)
    return replace(result.shift, pairs=None)


# name of the case: the measure, and the column that each of its arguments takes
MEASURES: dict[str, tuple[Callable[..., Result], dict[str, str]]] = {
    "accuracy": (metrics.accuracy, {"truth": "label", "predicted": "pred_label"}),
    "accuracy, many": (metrics.accuracy, {"truth": "table", "predicted": "pred_table"}),
    "accuracy, where": (
        metrics.accuracy,
        {"truth": "label", "predicted": "pred_label", "where": "where"},
    ),
    "error_rate": (metrics.error_rate, {"truth": "group", "predicted": "pred_group"}),
    "mean": (metrics.mean, {"values": "value"}),
    "mean, where": (metrics.mean, {"values": "value", "where": "where"}),
    "mean_by_group and gap": (gap_between_groups, {"values": "value", "groups": "group"}),
    "confusion": (metrics.confusion, {"truth": "group", "predicted": "pred_group"}),
    "average_precision": (metrics.average_precision, {"targets": "table", "scores": "scores"}),
    "cifar10s_bias": (metrics.cifar10s_bias, {"predicted": "pred_label", "domains": "group"}),
    "counterfactual_flips": (
        metrics.counterfactual_flips,
        {
            "truth": "label",
            "predicted": "pred_label",
            "changed_truth": "changed_label",
            "changed_predicted": "changed_pred_label",
        },
    ),
    "counterfactual_misses": (
        metrics.counterfactual_misses,
        {
            "truth": "label",
            "predicted": "label",
            "changed_truth": "changed_label",
            "changed_predicted": "changed_pred_label",
            "where": "where",
        },
    ),
    "reasons": (metrics.reasons, {"right": "right", "holds": "inside", "elsewhere": "inside"}),
    "evidence_cells": (metrics.evidence_cells, {"right": "right", "inside": "inside"}),
    "outcome_divergence": (
        metrics.outcome_divergence,
        {"truth": "group", "predicted": "pred_group"},
    ),
}
for _kind in ("label", "table"):
    MEASURES |= {
        f"bias_amplification_mals, {_kind}": (
            metrics.bias_amplification_mals,
            {
                "train_labels": f"train_{_kind}",
                "train_groups": "train_group",
                "pred_labels": f"pred_{_kind}",
                "pred_groups": "pred_group",
            },
        ),
        f"directional_bias_amplification A->T, {_kind}": (
            metrics.directional_bias_amplification,
            {"labels": _kind, "groups": "group", "pred_labels": f"pred_{_kind}"},
        ),
        f"directional_bias_amplification T->A, {_kind}, training": (
            metrics.directional_bias_amplification,
            {
                "labels": _kind,
                "groups": "group",
                "pred_groups": "pred_group",
                "train_labels": f"train_{_kind}",
                "train_groups": "train_group",
            },
        ),
    }
for _kind, _given in {
    "undirected": ("pred_labels", "pred_groups"),
    "A->T": ("pred_labels", "labels", "groups"),
    "T->A": ("pred_groups", "labels", "groups"),
}.items():
    for _table in ("label", "table"):
        _columns = {"labels": _table, "groups": "group"}
        _columns |= {
            f"{_of}_{what}": f"{_of}_{column}"
            for _of in ("train", "pred")
            for what, column in _columns.items()
        }
        MEASURES[f"multi_attribute_bias_amplification {_kind}, {_table}"] = (
            metrics.multi_attribute_bias_amplification,
            {
                what: column
                for what, column in _columns.items()
                if "train" in what or what in _given
            },
        )
for _name in (
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
    "true_negative_rate",
    "false_negative_rate",
    "precision",
    "false_discovery_rate",
    "negative_predictive_value",
    "false_omission_rate",
    "balanced_accuracy",
    "f1_score",
    "accuracy_difference",
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equal_opportunity_difference",
    "equal_opportunity_ratio",
    "equalized_odds_difference",
    "equalized_odds_ratio",
):
    for _kind in ("label", "table"):
        MEASURES[f"{_name}, {_kind}"] = (
            getattr(metrics, _name),
            {"truth": _kind, "predicted": f"pred_{_kind}", "groups": "group"},
        )
del MEASURES["selection_rate, label"]  # of K classes 1/K, whatever is predicted
MEASURES |= {
    "selection_rate, where": (
        metrics.selection_rate,
        {"truth": "right", "predicted": "right", "where": "where"},
    ),
    "calibration_error": (
        metrics.calibration_error,
        {"truth": "right", "scores": "inside", "groups": "group"},
    ),
    "calibration_error, table": (
        metrics.calibration_error,
        {"truth": "table", "scores": "scores"},
    ),
    "calibration_error, l2": (
        partial(metrics.calibration_error, norm="l2"),
        {"truth": "right", "scores": "inside", "groups": "group"},
    ),
    "calibration_error, max": (
        partial(metrics.calibration_error, norm="max"),
        {"truth": "right", "scores": "inside", "groups": "group"},
    ),
    "average_precision, groups": (
        metrics.average_precision,
        {"targets": "table", "scores": "scores", "groups": "group"},
    ),
    "group_ratio": (
        ratio_of_groups,
        {"truth": "label", "predicted": "pred_label", "groups": "group"},
    ),
    "mean_of_groups": (mean_of_groups, {"values": "value", "groups": "group"}),
    "worst_group": (worst_of_groups, {"truth": "right", "scores": "inside", "groups": "group"}),
    "group_metrics": (
        table_of_groups,
        {"truth": "label", "predicted": "pred_label", "groups": "group"},
    ),
}
for _name in ("roc_auc", "log_loss"):
    _truth = {"roc_auc": "targets", "log_loss": "truth"}[_name]
    MEASURES |= {
        f"{_name}, table": (getattr(metrics, _name), {_truth: "table", "scores": "scores"}),
        f"{_name}, groups": (
            getattr(metrics, _name),
            {_truth: "right", "scores": "inside", "groups": "group"},
        ),
    }
MEASURES["abroca"] = (
    between_curves,
    {"truth": "right", "scores": "inside", "groups": "group"},
)
SEARCH = {"scores": "scores", "groups": "group"}
MEASURES |= {
    "bias_at_k": (in_search(metrics.bias_at_k), SEARCH),
    "skew_at_k": (in_search(metrics.skew_at_k), SEARCH),
    "max_skew": (in_search(metrics.max_skew), SEARCH),
    "ndkl": (metrics.ndkl, SEARCH),
}
SETS = {"scores": "value", "pair": "scene", "groups": "group"}
# measures of sets of images: these are drawn, and stay as many when images are doubled
OF_SETS: dict[str, tuple[Callable[..., Any], dict[str, str]]] = {
    "counterfactual_consistency": (staying_decisions, SETS),
    "counterfactual_consistency, shift": (shift_of_scores, SETS),
}
MEASURES |= OF_SETS
# measures of texts, which no codes stand for
TEXTS = {"captions": "caption", "references": "written", "groups": "group"}
OF_TEXTS: dict[str, tuple[Callable[..., Any], dict[str, str]]] = {
    "bleu": (metrics.bleu, TEXTS),
    "cider": (metrics.cider, TEXTS),
    "rouge_l": (metrics.rouge_l, TEXTS),
    "caption_metrics": (bleu_of_caption_metrics, TEXTS),
}
MEASURES |= OF_TEXTS
# measures of single images: one value per row, each row by itself
ROW_WISE: dict[str, tuple[Callable[..., np.ndarray], dict[str, str]]] = {
    "correct": (metrics.correct, {"truth": "label", "predicted": "pred_label"}),
    "correct, many": (metrics.correct, {"truth": "table", "predicted": "pred_table"}),
    "context_typical_group": (
        metrics.context_typical_group,
        {"train_labels": "train_label", "train_groups": "train_group", "labels": "label"},
    ),
    "pointing_game": (metrics.pointing_game, {"maps": "maps", "masks": "masks"}),
    "relevance_mass": (metrics.relevance_mass, {"maps": "maps", "masks": "masks"}),
    "relevance_rank": (metrics.relevance_rank, {"maps": "maps", "masks": "masks"}),
    "top_k_intersection": (
        lambda maps, masks: metrics.top_k_intersection(maps, masks, k=3),
        {"maps": "maps", "masks": "masks"},
    ),
    "evidence_auc": (metrics.evidence_auc, {"maps": "maps", "masks": "masks"}),
    "area_weighted_localisation": (
        metrics.area_weighted_localisation,
        {"maps": "maps", "masks": "masks"},
    ),
    "localisation": (
        lambda maps, masks: np.column_stack(list(metrics.localisation(maps, masks, k=3).values())),
        {"maps": "maps", "masks": "masks"},
    ),
    "chance_level": (metrics.chance_level, {"masks": "masks"}),
    "probability_gap": (metrics.probability_gap, {"probabilities": "scores"}),
    "decide": (lambda scores: metrics.decide(scores, many=False), {"scores": "scores"}),
    "caption_genders": (metrics.caption_genders, {"captions": "caption"}),
    "mask_words": (metrics.mask_words, {"captions": "caption"}),
    "decide, many": (lambda scores: metrics.decide(scores, many=True), {"scores": "scores"}),
}
# measures that train attackers: chance is in the draw of images, so fewer invariances are exact
ATTACKS: dict[str, tuple[Callable[..., Result], dict[str, str]]] = {
    "lic": (metrics.lic, {"captions": "caption", "groups": "group"}),
}
for _kind in ("label", "table"):
    ATTACKS |= {
        f"dataset_leakage, {_kind}": (
            metrics.dataset_leakage,
            {"labels": _kind, "groups": "group"},
        ),
        f"model_leakage, {_kind}": (
            metrics.model_leakage,
            {"outputs": f"pred_{_kind}", "groups": "group"},
        ),
        f"leakage_amplification, {_kind}": (
            metrics.leakage_amplification,
            {"labels": _kind, "groups": "group", "outputs": f"pred_{_kind}"},
        ),
        f"directional_predictability_amplification A->T, {_kind}": (
            metrics.directional_predictability_amplification,
            {"labels": _kind, "groups": "group", "pred_labels": f"pred_{_kind}"},
        ),
        f"directional_predictability_amplification T->A, {_kind}": (
            metrics.directional_predictability_amplification,
            {"labels": _kind, "groups": "group", "pred_groups": "pred_group"},
        ),
    }
KEYWORDS = {"counts": 120, "train_counts": 90}  # and the rows that they say the number of
CONTINUOUS = {  # sums of fractions
    *("mean", "mean, where", "mean_by_group and gap", "accuracy, many"),
    *("cider", "rouge_l"),
    *("counterfactual_consistency, shift", "log_loss, table", "log_loss, groups"),
}
OF_PLACES = {"ndkl"}  # the second place counts less than the first
NO_MEASURE = {
    "CaptionReport",
    "CounterfactualResult",
    "Counts",
    "GroupMetrics",
    "GroupResult",
    "LeakageResult",
    "LicResult",
    "MalsResult",
    "MultiAttributeResult",
    "Result",
    "Sampling",
    "calibrate_thresholds",
    "caption_report",  # four results; its error and divergence are those of outcome_divergence
    "compare",
    "detectable_gap",
    "effective_images",
    "holm",
    "simultaneous",
    "small_groups",
}
OF_RATIOS = {"bias_amplification_mals_from_ratios"}

every_measure = pytest.mark.parametrize("case", MEASURES)
every_attack = pytest.mark.parametrize("case", ATTACKS)
every_row_wise = pytest.mark.parametrize("case", ROW_WISE)


def rows(seed: int, n: int) -> Columns:
    random = np.random.default_rng(seed)
    group = random.choice(np.array(["f", "m", "x", None], dtype=object), n, p=[0.4, 0.3, 0.2, 0.1])
    label = random.choice(np.array(["cat", "dog", "elk", None], dtype=object), n)
    table = (random.random((n, 4)) < 0.4).astype(float)
    table[random.random(n) < 0.1] = np.nan
    value = random.random(n)
    value[random.random(n) < 0.1] = np.nan
    texts = ["a man skis", "her dog", "a dog", "a man and a woman"]
    drawn: Columns = {
        "group": group,
        "pred_group": np.where(random.random(n) < 0.7, group, "m"),
        "label": label,
        "pred_label": np.where(random.random(n) < 0.7, label, "dog"),
        "table": table,
        "pred_table": (random.random((n, 4)) < 0.5).astype(float),
        "caption": random.choice(texts, n).astype(object),
        "scores": np.round(random.random((n, 4)), 1),
        "value": value,
        "right": np.where(np.isnan(value), np.nan, value > 0.4),
        "inside": np.round(random.random(n), 1),
        "where": random.random(n) < 0.8,
        "maps": random.normal(size=(n, 3, 4)),
        "masks": random.random((n, 3, 4)) < 0.4,
        "changed_label": np.where(random.random(n) < 0.5, label, np.roll(label, 1)),
        "changed_pred_label": np.where(random.random(n) < 0.6, label, "dog"),
    }
    drawn["written"] = np.empty(n, dtype=object)
    drawn["written"][:] = [tuple(random.choice(texts, random.integers(0, 4))) for _ in range(n)]
    drawn["scene"] = np.where(random.random(n) < 0.1, -1, random.integers(0, 30, n)).astype(float)
    return drawn


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
    assert np.isnan(result.value) == np.isnan(result.low) == np.isnan(result.high)


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
