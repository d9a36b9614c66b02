"""Every measure, with the columns that it takes, and rows on which all of them can be computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from fairvision import metrics
from fairvision.metrics import Result

Columns = dict[str, Any]


def gap_between_groups(values: Any, groups: Any, **keywords: Any) -> Result:
    return metrics.gap(metrics.mean_by_group(values, groups, **keywords))


def mean_of_groups(values: Any, groups: Any, **keywords: Any) -> Result:
    return metrics.mean_of_groups(metrics.mean_by_group(values, groups, **keywords))


def ratio_of_groups(truth: Any, predicted: Any, groups: Any, **keywords: Any) -> Result:
    return metrics.group_ratio(metrics.precision(truth, predicted, groups, **keywords))


def worst_of_groups(truth: Any, scores: Any, groups: Any, **keywords: Any) -> Result:
    return metrics.worst_group(metrics.calibration_error(truth, scores, groups, **keywords))


def from_reference(truth: Any, predicted: Any, groups: Any, **keywords: Any) -> Result:
    """From the group with most images, whatever it is called."""
    rate = metrics.accuracy(truth, predicted, groups, **keywords)
    has_group = rate.pairs[rate.pairs["group"].map(lambda group: group != "unknown")]
    if has_group.empty:
        return metrics.gap(rate, reference="nobody")
    return metrics.gap(rate, reference=has_group["group"][has_group["n"].idxmax()])


def gap_of_scores(scores: Any, groups: Any, **keywords: Any) -> Result:
    """Without figures of two groups, whose order is that of names."""
    return replace(metrics.score_gap(scores, groups, **keywords), pairs=None)


def table_of_groups(truth: Any, predicted: Any, groups: Any, **keywords: Any) -> Result:
    return metrics.group_metrics(truth, predicted, groups, ["f1_score"], **keywords)["f1_score"]


def bleu_of_caption_metrics(captions: Any, references: Any, groups: Any, **keywords: Any) -> Result:
    return metrics.caption_metrics(captions, references, groups, **keywords)["bleu"]


def noisy_groups(values: Any, groups: Any, validated: Any, **keywords: Any) -> Result:
    return metrics.noisy_groups(values, groups, validated=validated, **keywords).gap


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


def turning_decisions(scores: Any, pair: Any, groups: Any, **keywords: Any) -> Result:
    result = metrics.counterfactual_consistency(scores, pair, groups, **keywords)
    return replace(result.flips, pairs=None)


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
    "noisy_groups, gap": (
        noisy_groups,
        {"values": "value", "groups": "pred_group", "validated": "group", "where": "where"},
    ),
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
        if "_difference" in _name or "_ratio" in _name:
            MEASURES[f"{_name}, {_kind}, to_overall"] = (
                partial(getattr(metrics, _name), method="to_overall"),
                MEASURES[f"{_name}, {_kind}"][1],
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
    "average_precision, micro": (
        partial(metrics.average_precision, average="micro"),
        {"targets": "table", "scores": "scores", "groups": "group"},
    ),
    "average_precision, weighted": (
        partial(metrics.average_precision, average="weighted"),
        {"targets": "table", "scores": "scores", "groups": "group"},
    ),
    "label_ranking_average_precision": (
        metrics.label_ranking_average_precision,
        {"targets": "table", "scores": "scores", "groups": "group"},
    ),
    "group_ratio": (
        ratio_of_groups,
        {"truth": "label", "predicted": "pred_label", "groups": "group"},
    ),
    "gap, reference": (
        from_reference,
        {"truth": "label", "predicted": "pred_label", "groups": "group"},
    ),
    "generalized_entropy_index": (
        metrics.generalized_entropy_index,
        {"truth": "label", "predicted": "pred_label", "groups": "group"},
    ),
    "theil_index": (
        metrics.theil_index,
        {"truth": "table", "predicted": "pred_table", "groups": "group"},
    ),
    "conditional_demographic_disparity": (
        metrics.conditional_demographic_disparity,
        {"predicted": "pred_label", "groups": "group", "given": "label"},
    ),
    "conditional_demographic_disparity, table": (
        metrics.conditional_demographic_disparity,
        {"predicted": "pred_table", "groups": "group"},
    ),
    "consistency_score": (
        metrics.consistency_score,
        {"features": "features", "predicted": "pred_label", "groups": "group"},
    ),
    "score_gap": (gap_of_scores, {"scores": "value", "groups": "group"}),
    "score_gap, median": (
        partial(gap_of_scores, statistic="median"),
        {"scores": "value", "groups": "group"},
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
    "counterfactual_consistency, flips": (turning_decisions, SETS),
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
    *("cider", "rouge_l", "score_gap"),
    *("counterfactual_consistency, shift", "log_loss, table", "log_loss, groups"),
}
# the second place counts less than the first; an image's twin is its nearest neighbour
OF_PLACES = {"ndkl", "consistency_score"}
NO_MEASURE = {
    "BoundedResult",
    "CaptionReport",
    "CounterfactualResult",
    "Counts",
    "EntropyResult",
    "GroupMetrics",
    "GroupResult",
    "LeakageResult",
    "LicResult",
    "MalsResult",
    "MultiAttributeResult",
    "Hypotheses",
    "NoisyGroups",
    "Result",
    "Sampling",
    "ScoreCounts",
    "ScoreGapResult",
    "calibrate_thresholds",
    "caption_report",  # four results; its error and divergence are those of outcome_divergence
    "compare",
    "detectable_gap",
    "effective_images",
    "error_slices",  # tables of hypotheses: tests/metrics/test_slices.py
    "error_words",
    "holm",
    "resolution_accuracy",  # accuracy of decisions whose names depend on the order of groups
    "simultaneous",
    "small_groups",
    "from_arrow",
    "to_arrow",
}
OF_RATIOS = {"bias_amplification_mals_from_ratios"}


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
    drawn["features"] = random.normal(size=(n, 3))
    return drawn
