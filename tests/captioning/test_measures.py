from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from fairvision import metrics
from fairvision.captioning.labels import read_captions, read_labels
from fairvision.captioning.measures import measure
from fairvision.metrics.caption_words import words_for

WORDS = words_for(["woman", "man"], None)
QUICK = {"rounds": 0, "replicates": 50}


def figure(table: pd.DataFrame, model: str, metric: str, group: str = "", label: str = ""):
    rows = table[
        (table["model"] == model)
        & (table["metric"] == metric)
        & (table["group"] == group)
        & (table["label"] == label)
    ]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.fixture
def table(make_labels, make_said) -> pd.DataFrame:
    """Return the figures of 10 images that can be worked out by hand."""
    truth = make_labels(
        ["woman"] * 4 + ["man"] * 4 + [None, "man"],
        [("tv",), ("tv",), (), ("chair",), ("tv",), (), (), ("chair",), ("tv",), None],
    )
    first = [
        "man",
        "woman",
        "person",
        "man tv",
        "man tv",
        "man",
        "woman",
        "man chair",
        "man",
        "man",
    ]
    second = ["woman tv"] * 4 + ["man"] * 6
    labels = ["chair", "tv"]
    models = [make_said("A", first, labels), make_said("B", second, labels)]
    return measure(models, truth, WORDS, **QUICK)


@pytest.mark.parametrize(
    ("model", "metric", "group", "label", "value", "n"),
    [
        ("A", "error", "", "", Fraction(3, 9), 9),
        ("A", "error", "woman", "", Fraction(2, 4), 4),
        ("A", "error", "man", "", Fraction(1, 5), 5),
        ("A", "error_gap", "", "", Fraction(3, 10), 9),
        ("A", "accuracy_when_named", "", "", Fraction(5, 8), 8),
        ("A", "accuracy_when_named", "woman", "", Fraction(1, 3), 3),
        ("A", "unnamed", "", "", Fraction(1, 9), 9),
        ("B - A", "unnamed", "", "", -Fraction(1, 9), 9),
        ("A", "outcomes", "woman", "correct", Fraction(1, 4), 4),
        ("A", "outcomes", "woman", "incorrect", Fraction(2, 4), 4),
        ("A", "outcomes", "woman", "other", Fraction(1, 4), 4),
        ("A", "outcomes", "man", "other", Fraction(0), 5),
        ("A", "ratio", "", "", Fraction(2, 6), 8),
        ("A", "ratio_difference", "", "", Fraction(4, 5) - Fraction(2, 6), 9),
        ("B", "error", "", "", Fraction(0), 9),
        ("B", "outcome_divergence", "", "", Fraction(0), 9),
        ("B - A", "error", "", "", -Fraction(3, 9), 9),
        ("B - A", "outcomes", "woman", "correct", Fraction(3, 4), 4),
    ],
)
def test_figures_by_hand(table, model, metric, group, label, value, n):
    row = figure(table, model, metric, group, label)
    assert row["value"] == pytest.approx(float(value))
    assert row["n"] == n


def test_amplification_is_that_of_the_arrays(table):
    """What is unknown takes no part, nor does a caption that names no group where that counts."""
    labels = pd.DataFrame({"chair": [0, 0, 0, 1, 0, 0, 0, 1], "tv": [1, 1, 0, 0, 1, 0, 0, 0]})
    groups = ["woman"] * 4 + ["man"] * 4
    said = pd.DataFrame({"chair": [0] * 7 + [1], "tv": [0, 0, 0, 1, 1, 0, 0, 0]})
    named = ["man", "woman", None, "man", "man", "man", "woman", "man"]
    known = {"train_labels": labels, "train_groups": groups, "replicates": 0}
    expected = {
        "directional A->T": metrics.directional_bias_amplification(
            labels, groups, pred_labels=said, **known
        ),
        "directional T->A": metrics.directional_bias_amplification(
            labels, groups, pred_groups=named, **known
        ),
        "bias_amplification_mals": metrics.bias_amplification_mals(
            pred_labels=said, pred_groups=named, **known
        ),
    }
    for metric, result in expected.items():
        row = figure(table, "A", metric)
        assert row["task"] == "objects"
        assert row["value"] == pytest.approx(result.value)
        assert row["n"] == result.n


def test_the_reference_decides_mals(make_labels, make_said):
    truth = make_labels(["woman", "man"] * 5, [("tv",)] * 10)
    reference = make_labels(["woman"] * 3 + ["man"], [("tv",)] * 4)
    said = [make_said("A", ["a woman with a tv"] * 10, ["tv"])]
    own, other = (
        figure(measure(said, truth, WORDS, reference=r, **QUICK), "A", "bias_amplification_mals")
        for r in (None, reference)
    )
    assert own["value"] == 0  # half are women: the object leans to nobody
    assert other["value"] == pytest.approx(0.25)


def test_columns_units_and_keys(table):
    names = "model metric attribute task group label value low high n unit"
    assert list(table) == names.split()
    assert not table.duplicated(["model", "metric", "task", "group", "label"]).any()
    assert (table["attribute"] == "gender").all()
    units = table.groupby("metric")["unit"].unique().map(list)
    assert units["error"] == ["fraction", "difference"]
    assert units["ratio"] == ["ratio", "difference"]
    assert units["outcome_divergence"] == ["divergence", "difference"]
    assert units["ratio_difference"] == ["difference"]


def test_three_groups_have_no_ratio_and_one_has_no_gap(make_labels, make_said):
    words = {**WORDS, "child": frozenset(["kid"])}
    three = make_labels(["woman", "man", "child"] * 3)
    said = [make_said("A", ["a man"] * 9)]
    table = measure(said, three, words, **QUICK)
    assert not table["metric"].str.startswith("ratio").any()
    assert figure(table, "A", "error", "child")["value"] == 1
    one = measure(said, make_labels(["man"] * 9), WORDS, **QUICK)
    assert math.isnan(figure(one, "A", "error_gap")["value"])
    assert math.isnan(figure(one, "A", "outcome_divergence")["value"])
    empty = figure(one, "A", "error", "woman")
    assert math.isnan(empty["value"])
    assert empty["n"] == 0


def test_leakage_with_and_without_people(make_labels, make_said):
    truth = make_labels(["woman", "man"] * 100)
    said = [make_said("A", ["a woman cooks", "a man works"] * 100)]
    alone = measure(said, truth, WORDS, rounds=3, replicates=20)
    assert figure(alone, "A", "lic_model")["value"] > 0.8
    assert "lic" not in set(alone["metric"])
    human = [("someone is here", "someone")] * 200
    both = measure(said, truth, WORDS, human=human, rounds=3, replicates=20)
    model, people, lic = (figure(both, "A", m)["value"] for m in ("lic_model", "lic_human", "lic"))
    assert lic == pytest.approx(model - people)
    assert people < 0.4
    hidden = {"woman": ["woman", "cooks"], "man": ["man", "works"]}
    masked = measure(said, truth, WORDS, hidden=hidden, rounds=3, replicates=20)
    assert figure(masked, "A", "lic_model")["value"] < 0.4


def test_quality_is_that_of_the_arrays(make_labels, make_said):
    groups = ["woman", "man", None] * 20
    captions = {
        "A": ["a man on skis in the snow", "a man with a dog on a bed", "a dog"] * 20,
        "B": ["a woman on skis in the snow", "a person with a dog", ""] * 20,
    }
    human = [("a woman skis in the snow", "a woman on skis"), ("a man with a dog",), None] * 20
    human[2] = ("a dog sleeps", "a cat")
    said = [make_said(model, texts) for model, texts in captions.items()]
    table = measure(said, make_labels(groups), WORDS, human=human, **QUICK)
    for name in ("bleu", "cider", "rouge_l"):
        results = [
            getattr(metrics, name)(texts, human, groups, replicates=50)
            for texts in captions.values()
        ]
        for model, result in zip("AB", results):
            whole = figure(table, model, name)
            assert (whole["value"], whole["n"]) == (pytest.approx(result.value), 41)
            for pair in result.pairs.itertuples():
                row = figure(table, model, name, pair.group)
                assert (row["value"], row["n"]) == (pytest.approx(pair.value), pair.n)
            assert figure(table, model, name, "unknown")["n"] == 1
            gap = figure(table, model, f"{name}_gap")
            assert gap["value"] == pytest.approx(metrics.gap(result).value)
        change = figure(table, "B - A", name)
        assert change["value"] == pytest.approx(metrics.compare(*results).value)
        assert change["low"] <= change["value"] <= change["high"]
    bare = measure(said, make_labels(groups), WORDS, **QUICK)
    assert not set(bare["metric"]) & {"bleu", "cider", "rouge_l", "cider_gap"}
    nothing = measure(said, make_labels(groups), WORDS, human=[None] * 60, **QUICK)
    assert figure(nothing, "A", "cider")["n"] == 0
    assert math.isnan(figure(nothing, "A", "cider_gap")["value"])


PUBLISHED = {
    "baseline_ft": (19.30, 0.51, 0.126),
    "balanced": (18.30, 0.47, 0.114),
    "upweight": (16.30, 0.35, 0.055),
    "confident": (10.10, 0.26, 0.039),
    "confusion": (17.40, 0.45, 0.097),
    "equalizer": (8.10, 0.13, 0.026),
}


@pytest.mark.parametrize(("model", "printed"), PUBLISHED.items())
def test_published_captions_have_the_published_figures(shared, make_said, model, printed):
    """COCO-Balanced: error in percent, ratio difference, outcome divergence, as printed."""
    place = shared / "data" / "published" / "women-also-snowboard"
    truth, _ = read_labels(place / "labels.csv", split_column="balanced_split")
    captions = read_captions(place / f"captions_{model}.json")
    said = make_said(model, [captions[own] for own in truth.rows["id"]], list(truth.vocabulary))
    table = measure([said], truth, WORDS, **QUICK)
    error, ratio, divergence = (
        figure(table, model, metric)["value"]
        for metric in ("error", "ratio_difference", "outcome_divergence")
    )
    assert (round(100 * error, 2), round(ratio, 2), round(divergence, 3)) == printed


def test_the_equalizer_errs_less_and_leaks_more(shared, make_said):
    """As Hirota et al. (2022) found of these captions; here on COCO-Bias, in paired differences."""
    place = shared / "data" / "published" / "women-also-snowboard"
    truth, _ = read_labels(place / "labels.csv", split_column="bias_split")
    models = []
    for name in ("baseline_ft", "equalizer"):
        captions = read_captions(place / f"captions_{name}.json")
        models.append(make_said(name, [captions[own] for own in truth.rows["id"]]))
    bare = replace(truth, task="")
    table = measure(models, bare, WORDS, rounds=5, replicates=200)
    assert figure(table, "equalizer - baseline_ft", "error")["high"] < 0
    assert figure(table, "equalizer - baseline_ft", "lic_model")["low"] > 0


def test_the_order_of_images_decides_no_figure(make_labels, make_said):
    random = np.random.default_rng(0)
    groups = random.choice(["woman", "man"], 60).tolist()
    captions = random.choice(["a man", "a woman", "a dog"], 60).tolist()
    order = random.permutation(60)
    tables = [
        measure(
            [make_said("A", [captions[i] for i in rows])],
            make_labels([groups[i] for i in rows]),
            WORDS,
            **QUICK,
        )
        for rows in (range(60), order)
    ]
    assert json.dumps(list(tables[0]["n"])) == json.dumps(list(tables[1]["n"]))
    np.testing.assert_allclose(tables[0]["value"], tables[1]["value"])
