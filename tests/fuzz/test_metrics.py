"""Every measure, of random images in random containers, is what loops over the images give."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import brute_force as brute
import numpy as np
import pandas as pd
import pytest
from any_container import Random, one_of
from drawn_rows import WIDTH, Draw, groups_of, labels_of

from fairvision import metrics
from fairvision.errors import FairvisionWarning, InputError
from fairvision.metrics import Result

RATES = (*brute.RATIOS, "balanced_accuracy")
PARITY: dict[str, tuple[tuple[str, ...], bool]] = {
    "demographic_parity_difference": (("selection_rate",), False),
    "demographic_parity_ratio": (("selection_rate",), True),
    "equal_opportunity_difference": (("true_positive_rate",), False),
    "equal_opportunity_ratio": (("true_positive_rate",), True),
    "equalized_odds_difference": (("true_positive_rate", "false_positive_rate"), False),
    "equalized_odds_ratio": (("true_positive_rate", "false_positive_rate"), True),
    "accuracy_difference": (("accuracy",), False),
}
CAPTIONS = {
    "a woman skis": "woman",
    "A MAN \u2019 s dog": "man",
    "the guys, surfing": "man",
    "two dogs": "other",
    "a man and a girl": "other",
    "a man\u2019s hat": "other",
    "her bike": "woman",
}


def found_pairs(result: Result) -> dict[tuple, tuple[float, int]] | None:
    if result.pairs is None:
        return None
    keys = [key for key in ("group", "label") if key in result.pairs]
    rows = result.pairs.to_dict("records")
    return {tuple(row[key] for key in keys): (row["value"], row["n"]) for row in rows}


def assert_is(result: Result, expected: brute.Expected) -> None:
    assert result.value == pytest.approx(expected.value, abs=1e-9, nan_ok=True)
    if expected.n is not None:
        assert result.n == expected.n
    if not np.isnan([result.low, result.high]).any():
        assert result.low <= result.high
    if expected.pairs is not None:
        pairs = found_pairs(result)
        assert pairs is not None
        assert set(pairs) == set(expected.pairs)
        for key, (value, n) in expected.pairs.items():
            assert pairs[key][0] == pytest.approx(value, abs=1e-9, nan_ok=True), key
            assert pairs[key][1] == n, key


def outcomes(draw: Draw, positive: bool = True) -> tuple[dict[str, Any], Any, list[Any], str]:
    """Draw truth and predictions; return options, a function to images, labels, and their kind."""
    kind, declared = labels_of(draw, "truth", "predicted")
    names = {"truth": "truth", "predicted": "predicted"}
    if draw.random.random() < 0.3:
        draw.column("where", [True, False], "bits")
        names["where"] = "where"
    draw.sampled()
    images = draw.images(**names)
    labels = (
        declared
        if kind == "table"
        else brute.present(images, "truth", "predicted", declared=declared)
    )
    options: dict[str, Any] = {}
    form = "table" if kind == "table" else "classes"
    if kind != "table" and set(labels) <= {0, 1}:
        form, labels = "single", [1]
    elif positive and labels and draw.random.random() < 0.3:
        options["positive"] = one_of(draw.random, labels)
        form, labels = "single", [options["positive"]]
    return options, names, labels, form


def rate(draw: Draw, name: str) -> None:
    pooled = name in ("accuracy", "error_rate")
    options, names, labels, form = outcomes(draw, positive=not pooled)
    function = getattr(metrics, name)
    if name == "selection_rate" and draw.random.random() < 0.3:
        blind = draw.images(**{**names, "truth": "predicted"})
        labels = (
            labels
            if form != "classes"
            else brute.present(blind, "predicted", declared=draw.given["predicted"][1])
        )
        if form == "classes" and set(labels) <= {0, 1}:
            form, labels = "single", [1]
        function = partial(function, None)
        names.pop("truth")
        draw.plain["truth"] = draw.plain["predicted"]
    where = {**names, "truth": "truth"}
    ways = one_of(draw.random, ["none", "one", "two"])
    if ways == "none":
        images = draw.images(**where)
        result = draw.call(function, draw.arguments(**names), **options)
        if pooled:
            used = [
                dict(i, value=brute.right_share(i["truth"], i["predicted"], labels)) for i in images
            ]
            used = [dict(i, value=None if np.isnan(i["value"]) else i["value"]) for i in used]
            expected = brute.mean(used)
            value = 1 - expected.value if name == "error_rate" else expected.value
            assert_is(result, brute.Expected(value, expected.n))
        else:
            assert_is(result, brute.rate(name, images, labels, None, form))
        return
    if ways == "one":
        declared = groups_of(draw, "group")
        images = draw.images(**where, group="group")
        groups = brute.present(images, "group", declared=declared)
        arguments = draw.arguments(**names, groups="group")
    else:
        draw.column("gender", ["f", "m"], "names")
        draw.column("age", [0, 1, 2], "codes")
        pairs = zip(draw.plain["gender"], draw.plain["age"])
        draw.plain["group"] = [None if None in pair else pair for pair in pairs]
        images = draw.images(**where, group="group")
        groups = brute.present(images, "group")
        rows = range(draw.rows)
        several = {name: draw.contained(name, rows) for name in ("gender", "age")}
        if draw.counts is not None:
            draw.plain["counts"], draw.given["counts"] = draw.counts, ("codes", ())
            names["counts"] = "counts"
        if draw.weights is not None:
            draw.plain["weights"], draw.given["weights"] = draw.weights, ("numbers", ())
            names["weights"] = "weights"
        arguments = {name: draw.contained(of, rows) for name, of in names.items()}
        arguments["groups"] = several
    expected = brute.rate(name, images, labels, groups, form)
    if (
        draw.random.random() < 0.2
        and "positive" not in options
        and function is getattr(metrics, name)
    ):
        result = draw.call(metrics.group_metrics, {**arguments, "measures": [name]})[name]
    else:
        result = draw.call(function, arguments, **options)
    assert_is(result, expected)


def parity(draw: Draw, name: str) -> None:
    rates, ratio = PARITY[name]
    options, names, labels, form = outcomes(draw, positive=name != "accuracy_difference")
    declared = groups_of(draw, "group")
    images = draw.images(**names, group="group")
    groups = brute.present(images, "group", declared=declared)
    mean = len(rates) > 1 and draw.random.random() < 0.3
    expected = brute.between(rates, images, labels, groups, form, ratio=ratio, mean=mean)
    if mean:
        options["agg"] = "mean"
    result = draw.call(getattr(metrics, name), draw.arguments(**names, groups="group"), **options)
    assert_is(result, expected)


def means(draw: Draw) -> None:
    draw.column(
        "value", [0.0, 1.0, 0.5, -2.25] if draw.random.random() < 0.5 else [0, 1], "numbers"
    )
    draw.sampled()
    if draw.random.random() < 0.4:
        assert_is(
            draw.call(metrics.mean, draw.arguments(values="value")),
            brute.mean(draw.images(value="value")),
        )
        return
    declared = groups_of(draw, "group")
    images = draw.images(value="value", group="group")
    expected = brute.mean_by_group(images, brute.present(images, "group", declared=declared))
    found = draw.call(metrics.mean_by_group, draw.arguments(values="value", groups="group"))
    assert set(found) == set(expected)
    for group, of_group in expected.items():
        assert_is(found[group], of_group)
    if found:
        assert_is(metrics.gap(found), brute.Expected(brute.gap(expected)))


def confusion(draw: Draw) -> None:
    declared = groups_of(draw, "group", "pred_group")
    draw.sampled()
    images = draw.images(group="group", pred_group="pred_group")
    groups = brute.present(images, "group", "pred_group", declared=declared)
    result = draw.call(metrics.confusion, draw.arguments(truth="group", predicted="pred_group"))
    assert_is(result, brute.confusion(images, groups))


def outcome_divergence(draw: Draw) -> None:
    draw.column("group", ["f", "m", "x"], "names")
    draw.column("pred_group", ["f", "m", "x", "other"], "names")
    draw.sampled()
    images = draw.images(group="group", pred_group="pred_group")
    groups = [g for g in brute.present(images, "group", "pred_group") if g != "other"]
    result = draw.call(
        metrics.outcome_divergence, draw.arguments(truth="group", predicted="pred_group")
    )
    assert_is(result, brute.divergence(images, groups))


def captions(draw: Draw) -> None:
    draw.column("group", ["woman", "man"], "names")
    said = draw.column("caption", list(CAPTIONS), "names")
    draw.plain["pred_group"] = [None if text is None else CAPTIONS[text] for text in said]
    draw.sampled()
    images = draw.images(group="group", pred_group="pred_group")
    arguments = draw.arguments(captions="caption", groups="group")
    report = draw.call(metrics.caption_report, arguments)
    expected = brute.divergence(images, ["woman", "man"])
    assert_is(report.outcome_divergence, expected)
    used = [i for i in images if None not in (i["group"], i["pred_group"])]
    wrong = [i for i in used if i["pred_group"] not in (i["group"], "other")]
    error = brute.share(brute.weigh(wrong), brute.weigh(used))
    assert_is(report.error, brute.Expected(error, len(used), expected.pairs))
    women, men = ([i for i in used if i["pred_group"] == group] for group in ("woman", "man"))
    ratio = brute.share(brute.weigh(women), brute.weigh(men))
    assert_is(report.ratio, brute.Expected(ratio, len(women) + len(men)))


def reasons(draw: Draw) -> None:
    draw.column("right", [0, 1], "numbers")
    draw.column("holds", [0, 0.25, 0.5, 0.75, 1], "numbers")
    draw.column("elsewhere", [0, 0.25, 0.5, 0.75, 1], "numbers")
    draw.column("where", [True, False, True], "bits")
    draw.sampled()
    names = {name: name for name in ("right", "holds", "elsewhere", "where")}
    result = draw.call(metrics.reasons, draw.arguments(**names))
    assert_is(result, brute.reasons(draw.images(**names)))


def evidence_cells(draw: Draw) -> None:
    draw.column("right", [0, 1], "numbers")
    draw.column("inside", [0, 0.25, 0.5, 0.75, 1], "numbers")
    draw.column("where", [True, False, True], "bits")
    draw.sampled()
    names = {name: name for name in ("right", "inside", "where")}
    result = draw.call(metrics.evidence_cells, draw.arguments(**names))
    assert_is(result, brute.evidence_cells(draw.images(**names)))


def cifar10s(draw: Draw) -> None:
    draw.column("label", ["cat", "dog", "elk"], "names", ["cat", "dog", "elk"] * (draw.rows % 2))
    declared = groups_of(draw, "group")
    draw.sampled()
    images = draw.images(label="label", group="group")
    labels = brute.present(images, "label", declared=draw.given["label"][1])
    domains = brute.present(images, "group", declared=declared)
    result = draw.call(metrics.cifar10s_bias, draw.arguments(predicted="label", domains="group"))
    assert_is(result, brute.cifar10s(images, labels, domains))


def scored(draw: Draw) -> tuple[list[Any], str]:
    """Draw truth and scores of it; return the labels and the form of truth."""
    form = one_of(draw.random, ["one", "codes", "names", "table"])
    labels: list[Any] = {"one": [1], "codes": [0, 1, 2], "names": ["a", "b", "c"]}.get(
        form, [0, 1, 2]
    )
    if form == "table":
        sets = [frozenset(np.flatnonzero([i & 1, i & 2, i & 4]).tolist()) for i in range(8)]
        draw.column("truth", sets, "table")
    else:
        values = [0, 1] if form == "one" else labels
        declared = labels if form == "names" and draw.random.random() < 0.3 else ()
        draw.column("truth", values, "names" if form == "names" else "codes", declared)
    scores = [
        [
            s / 64
            for s in draw.random.integers(0, one_of(draw.random, [5, 65]), len(labels)).tolist()
        ]
        for _ in range(9)
    ]
    scores.append([0.5, *[None] * (len(labels) - 1)] if len(labels) > 1 else [None])
    draw.column("scores", scores, "scores", labels)
    draw.plain["scores"] = [[None] * len(labels) if s is None else s for s in draw.plain["scores"]]
    return labels, form


def average_precision(draw: Draw) -> None:
    labels, form = scored(draw)
    draw.sampled()
    if draw.random.random() < 0.5:
        images = draw.images(truth="truth", scores="scores")
        labels = labels if form != "one" else [0]  # the position of the column
        if form == "one":
            held = {None: None, 0: frozenset(), 1: frozenset([0])}
            images = [dict(image, truth=held[image["truth"]]) for image in images]
        expected = brute.average_precision(images, labels, None)
        arguments = draw.arguments(targets="truth", scores="scores")
    else:
        declared = groups_of(draw, "group")
        images = draw.images(truth="truth", scores="scores", group="group")
        groups = brute.present(images, "group", declared=declared)
        expected = brute.average_precision(images, labels, groups)
        arguments = draw.arguments(targets="truth", scores="scores", groups="group")
    result = draw.call(metrics.average_precision, arguments)
    assert_is(result, expected)


def calibration(draw: Draw) -> None:
    labels, form = scored(draw)
    draw.sampled()
    bins = one_of(draw.random, [1, 4, 15])
    names = {"truth": "truth", "scores": "scores"}
    groups = None
    if draw.random.random() < 0.5:
        declared = groups_of(draw, "group")
        images = draw.images(**names, group="group")
        groups = brute.present(images, "group", declared=declared)
        arguments = draw.arguments(**names, groups="group")
    else:
        images = draw.images(**names)
        arguments = draw.arguments(**names)
    classes = form in ("codes", "names")
    expected = brute.calibration(images, labels, groups, bins=bins, classes=classes)
    assert_is(draw.call(metrics.calibration_error, arguments, bins=bins), expected)


def amplification(draw: Draw, way: str) -> None:
    kind, labels = labels_of(draw, "label", "pred_label")
    values, declared = (
        ([0, 1], ())
        if kind == "binary"
        else (["cat", "dog", "elk"] if kind == "names" else [0, 2], ())
    )
    for name in ("label", "pred_label"):
        draw.given[name] = draw.given[name][0], declared
    groups_of(draw, "group", "pred_group", declare=False)
    draw.sampled(weights=False)
    train = Draw(draw.random, int(draw.random.integers(0, 12)))
    if kind == "table":
        draw.random.integers(2)
        sets = [frozenset(np.flatnonzero([i & 1, i & 2, i & 4]).tolist()) for i in range(8)]
        train.column("label", sets, "table")
    else:
        train.column("label", values, draw.given["label"][0])
    kind_of_groups = draw.given["group"][0]
    train.column(
        "group", ["f", "m", "x"] if kind_of_groups == "names" else [0, 1, 2], kind_of_groups
    )
    train.sampled(weights=False)
    own = brute.sets_of(train.images(labels="label", group="group"), "labels", "group")
    names = {"labels": "label", "groups": "group", "pred_labels": "pred_label"}
    names["pred_groups"] = "pred_group"
    images = draw.images(**names)
    true, pred = (brute.sets_of(images, f"{part}labels", f"{part}groups") for part in ("", "pred_"))
    (known_train,) = brute.complete(own)
    training = train.arguments("train_counts", train_labels="label", train_groups="group")
    if way in ("mals", "undirected"):
        given = {name: of for name, of in names.items() if name.startswith("pred_")}
        groups, found = brute.universe(own, pred)
        (known_pred,) = brute.complete(pred)
        labels = labels if kind == "table" else found
        if way == "mals":
            expected = brute.mals(known_train, known_pred, groups, labels)
            function: Callable[..., Result] = metrics.bias_amplification_mals
        else:
            expected = brute.multi(known_train, known_pred, groups)
            function = metrics.multi_attribute_bias_amplification
    else:
        to_task = way == "A->T"
        given = dict(names)
        given.pop("pred_groups" if to_task else "pred_labels")
        said = (
            [(label, group) for (label, _), (_, group) in zip(pred, true)]
            if to_task
            else [(label, group) for (label, _), (_, group) in zip(true, pred)]
        )
        groups, found = brute.universe(own, true, said)
        labels = labels if kind == "table" else found
        before, after = brute.complete(true, said)
        if draw.random.random() < 0.3:
            training, known_train = {}, before
            groups, found = brute.universe(true, said)
            labels = labels if kind == "table" else found
        expected = brute.directed(known_train, before, after, groups, labels, to_task)
        function = metrics.directional_bias_amplification
    arguments = {**draw.arguments(**given), **training}
    assert_is(draw.call(function, arguments), brute.Expected(expected))


def single_images(draw: Draw) -> None:
    """What is measured in each image by itself."""
    labels, _ = scored(draw)
    rows = range(draw.rows)
    table = draw.contained("scores", rows)
    plain = draw.plain["scores"]
    expected: Any = [brute.pairwise_gap(scores) for scores in plain]
    np.testing.assert_allclose(metrics.probability_gap(table), expected, atol=1e-9)
    for many in (False, True):
        expected = [brute.decided(scores, many) for scores in plain]
        if plain:
            assert metrics.decide(draw.contained("scores", rows), many).tolist() == expected
    expected = brute.calibrated(draw.images(truth="truth", scores="scores"), labels)
    found = metrics.calibrate_thresholds(
        draw.contained("truth", rows), draw.contained("scores", rows)
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=0)


def typical(draw: Draw) -> None:
    draw.column("label", ["cat", "dog", "elk"], "names")
    train = Draw(draw.random, int(draw.random.integers(0, 20)))
    train.column("label", ["cat", "dog", "elk"], "names")
    train.column("group", ["f", "m", "x"], "names")
    train.sampled(weights=False)
    own = brute.sets_of(train.images(labels="label", group="group"), "labels", "group")
    groups, _ = brute.universe(own)
    rows = [None if label is None else {label} for label in draw.plain["label"]]
    found = (
        metrics.context_typical_group(
            **train.arguments("train_counts", train_labels="label", train_groups="group"),
            labels=draw.contained("label", range(draw.rows)),
        )
        if train.rows
        else None
    )
    if found is not None and groups:
        assert found.tolist() == brute.typical(own, rows, groups)


CASES: dict[str, Callable[[Draw], None]] = {
    **{name: partial(rate, name=name) for name in RATES},
    **{name: partial(parity, name=name) for name in PARITY},
    **{way: partial(amplification, way=way) for way in ("mals", "A->T", "T->A", "undirected")},
    "means": means,
    "confusion": confusion,
    "outcome_divergence": outcome_divergence,
    "captions": captions,
    "reasons": reasons,
    "evidence_cells": evidence_cells,
    "cifar10s": cifar10s,
    "average_precision": average_precision,
    "calibration": calibration,
    "single images": single_images,
    "typical": typical,
}


def drawn(seed: int, spoil: Any = None) -> tuple[str, Draw]:
    """The measure of a case, each in turn, and its random rows."""
    random = np.random.default_rng(seed)
    name = list(CASES)[seed % len(CASES)]
    rows = int(random.integers(0, one_of(random, [3, 12, 40])))
    return name, Draw(random, rows, spoil)


@pytest.mark.fuzz(0.4)
def test_every_measure_is_its_definition(seed: int) -> None:
    name, draw = drawn(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FairvisionWarning)
        CASES[name](draw)


def other_values(random: Random, values: Any) -> Any:
    """What a column may be in place of itself, of the same length or not."""
    rows = len(values) if hasattr(values, "__len__") else 3
    return one_of(
        random,
        [
            None,
            3.5,
            "text",
            [],
            {},
            [[]] * rows,
            [np.inf] * rows,
            [-100] * rows,
            [255, *[0] * (rows - 1)],
            ["nan", *["None"] * (rows - 1)],
            ["True"] * rows,
            [0.5] * rows,
            [{"not", "hashable"}] * rows,
            [object()] * rows,
            [b"bytes"] * rows,
            [10**30] * rows,
            [complex(1, 2)] * rows,
            ["a", 1] * (rows // 2 + 1),
            [[1], [1, 0]] * (rows // 2 + 1),
            np.zeros((rows, 2, 2)),
            np.full(rows, np.datetime64("2020-01-01")),
            np.zeros(rows, dtype=[("a", int)]),
            np.full((rows, WIDTH), 2),
            np.full((rows, WIDTH), -1),
            np.full((rows, WIDTH), "1"),
            pd.DataFrame([["x" * 3000] * WIDTH] * rows),
            pd.Series(["x" * 3000] * rows),
            pd.Series(pd.to_timedelta([1] * rows)),
            pd.Categorical([(1, 2)] * rows),
            list(values)[1:] if hasattr(values, "__len__") and not hasattr(values, "keys") else 1,
        ],
    )


def spoilt(random: Random, arguments: dict[str, Any]) -> dict[str, Any]:
    name = one_of(random, sorted(arguments)) if arguments else ""
    return {**arguments, name: other_values(random, arguments[name])} if name else {}


@pytest.mark.fuzz(0.1)
def test_odd_input_is_a_figure_or_one_short_line(seed: int) -> None:
    name, draw = drawn(seed, spoilt)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FairvisionWarning)
        try:
            CASES[name](draw)
        except (InputError, AssertionError) as error:  # figures are of other values than the loops'
            caught_error = [error] if isinstance(error, InputError) else []
            told = [*(w.message for w in caught), *caught_error]
        else:
            told = [w.message for w in caught]
    for message in told:
        assert "\n" not in str(message)
        assert len(str(message).encode()) <= 500
