"""Rows beyond accuracy and amplification: those of `fairvision.metrics`, and cases by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from fairvision import metrics
from fairvision.auditing import amplification_figures, cautions
from fairvision.auditing.measures import measure
from fairvision.auditing.tables import read_predictions
from fairvision.errors import FairvisionWarning
from fairvision.results.figures import COLUMNS

GROUPS, LABELS, OBJECTS = ("a", "b", "c"), ("ski", "surf", "chess"), ("kite", "tie")
CHANCE = {"replicates": 100, "confidence": 0.95, "seed": 0}
PARITY = (
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equalized_odds_difference",
    "equalized_odds_ratio",
)
INSIDE = "directional T->A, evidence inside"
OUTSIDE = "directional T->A, evidence outside"
APART = "directional T->A, outside minus inside"
pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")


def read(folder, train, **tables):
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet")
    paths = [folder / f"{name}.parquet" for name in tables]
    models, *_ = read_predictions(paths, list(tables), split="test")
    train.to_parquet(folder / "train.parquet")
    (trained,), *_ = read_predictions([folder / "train.parquet"], ["train"], split="train")
    return models, trained.truth


def figure(rows, model, metric, attribute="", task="", group="", label=""):
    keys = (model, metric, attribute, task, group, label)
    found = rows[(rows[list(COLUMNS[:6])] == list(keys)).all(axis=1)]
    assert len(found) == 1, keys
    return found.iloc[0]


def assert_is(row, result):
    figures = (result.value, result.low, result.high)
    np.testing.assert_allclose(row[["value", "low", "high"]].astype(float), figures, atol=1e-12)
    assert row["n"] == result.n


@pytest.fixture(scope="module")
def drawn(answers):
    return {
        "A": answers(seed=1),
        "B": answers(seed=2),
        "train": answers(400, seed=3, split="train"),
    }


@pytest.fixture(scope="module")
def rows(drawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    return measure(*read(folder, drawn["train"], A=drawn["A"], B=drawn["B"]), replicates=100)


def truth_of(table, task):
    if task == "sport":
        return pd.Categorical(table["sport"], LABELS)
    held = [[-1] * 2 if cell is None else [o in cell for o in OBJECTS] for cell in table["objects"]]
    return pd.DataFrame(np.array(held, int), columns=list(OBJECTS))


def scores_of(table, head, names):
    return table[[f"score/{head}/{name}" for name in names]].set_axis(list(names), axis=1)


def said_of(table, task):
    if task == "sport":
        codes = scores_of(table, "sport", LABELS).to_numpy().argmax(axis=1)
        return pd.Categorical.from_codes(codes, LABELS)
    return (scores_of(table, "objects", OBJECTS) > 0.5).astype(int)


def groups_of(table):
    return pd.Categorical(table["group"], GROUPS)


def said_groups(table):
    codes = scores_of(table, "group", GROUPS).to_numpy().argmax(axis=1)
    return pd.Categorical.from_codes(codes, GROUPS)


@pytest.mark.parametrize("task", ["sport", "objects"])
@pytest.mark.parametrize("metric", PARITY)
def test_parity_is_that_of_the_metrics(drawn, rows, metric, task):
    results = {
        name: getattr(metrics, metric)(
            None if metric.startswith("demographic") else truth_of(drawn[name], task),
            said_of(drawn[name], task),
            groups_of(drawn[name]),
            **CHANCE,
        )
        for name in "AB"
    }
    for name, result in results.items():
        assert_is(figure(rows, name, metric, "group", task), result)
        for pair in result.pairs.to_dict("records"):
            row = figure(rows, name, metric, "group", task, label=pair["label"])
            assert (row["value"], row["n"]) == (pytest.approx(pair["value"]), pair["n"])
    assert_is(figure(rows, "B - A", metric, "group", task), metrics.compare(*results.values()))


def test_parity_of_two_groups_agrees_with_fairlearn(rows, drawn):
    from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference

    answered = drawn["A"][drawn["A"]["group"].notna()]
    for metric, table in (
        (demographic_parity_difference, answered),
        (equalized_odds_difference, answered[answered["sport"].notna()]),
    ):
        truth, said = truth_of(table, "sport"), said_of(table, "sport")
        for label in LABELS:
            given = {"y_true": truth == label, "y_pred": said == label}
            row = figure(rows, "A", metric.__name__, "group", "sport", label=label)
            expected = metric(**given, sensitive_features=table["group"])
            assert row["value"] == pytest.approx(expected)


@pytest.mark.parametrize("unknown", [0.5, 1])
def test_demographic_parity_counts_images_without_truth(drawn, tmp_path, unknown):
    table = drawn["A"].copy()
    table.loc[: unknown * len(table), ["sport"]] = None
    rows = measure(*read(tmp_path, drawn["train"], A=table), replicates=5)
    grouped = table[table["group"].notna()]
    for label in LABELS:
        rates = said_of(grouped, "sport") == label
        rates = pd.Series(rates).groupby(grouped["group"].to_numpy()).mean()
        row = figure(rows, "A", "demographic_parity_difference", "group", "sport", label=label)
        ratio = figure(rows, "A", "demographic_parity_ratio", "group", "sport", label=label)
        assert row["value"] == pytest.approx(rates.max() - rates.min())
        assert ratio["value"] == pytest.approx(rates.min() / rates.max())
        two = grouped["group"].isin([rates.idxmin(), rates.idxmax()])
        assert row["n"] == ratio["n"] == two.sum()
    odds = figure(rows, "A", "equalized_odds_difference", "group", "sport")
    assert np.isnan(odds["value"]) == (unknown == 1)


@pytest.mark.parametrize("task", ["", "sport", "objects"])
def test_worst_group_is_the_row_of_the_group_that_fares_worst(rows, task):
    for model in "AB":
        of_groups = [figure(rows, model, "accuracy", "group", task, g) for g in GROUPS]
        worst = min(of_groups, key=lambda row: row["value"])
        row = figure(rows, model, "worst_group_accuracy", "group", task)
        assert (row[["value", "low", "high", "n"]] == worst[["value", "low", "high", "n"]]).all()


def test_calibration_is_that_of_the_metrics(drawn, rows):
    for name in "AB":
        table = drawn[name]
        for head, truth, names in (
            ("group", groups_of(table), GROUPS),
            ("sport", truth_of(table, "sport"), LABELS),
        ):
            task = "" if head == "group" else head
            scores = scores_of(table, head, names)
            result = metrics.calibration_error(truth, scores, groups_of(table), **CHANCE)
            assert_is(figure(rows, name, "calibration_error", "group", task), result)
            gap = figure(rows, name, "calibration_error_gap", "group", task)
            assert_is(gap, metrics.gap(result))
            each = [figure(rows, name, "calibration_error", "group", task, g) for g in GROUPS]
            assert gap["value"] == pytest.approx(np.ptp([row["value"] for row in each]))
        truth = truth_of(table, "objects")
        result = metrics.calibration_error(truth, scores_of(table, "objects", OBJECTS), **CHANCE)
        assert_is(figure(rows, name, "calibration_error", "", "objects"), result)
        assert figure(rows, name, "calibration_error", "", "objects", label="tie")["n"] == result.n


@pytest.mark.parametrize("measured", ["pointing_game", "relevance_mass"])
@pytest.mark.parametrize("lift", ["", "_lift"])
def test_gap_of_evidence_is_between_the_extreme_groups(rows, drawn, measured, lift):
    metric = measured + lift
    row = figure(rows, "A", f"{metric}_gap", "group")
    each = [figure(rows, "A", metric, "group", group=g) for g in GROUPS]
    assert row["value"] == pytest.approx(np.ptp([r["value"] for r in each]))
    extreme = sorted(each, key=lambda r: r["value"])
    assert row["n"] == extreme[0]["n"] + extreme[-1]["n"]
    table = drawn["A"]
    values = table[f"evidence/gradcam/{measured}"]
    values = values - table["evidence/chance"] if lift else values
    means = metrics.mean_by_group(values, groups_of(table), **CHANCE)
    assert_is(row, metrics.gap(means))


@pytest.mark.parametrize("task", ["sport", "objects"])
def test_amplification_by_evidence_is_that_of_the_images_of_each_part(rows, drawn, task):
    table, train = drawn["A"], drawn["train"]
    inside = table["evidence/gradcam/pointing_game"]
    results = {}
    for metric, part in ((INSIDE, inside > 0.5), (OUTSIDE, inside <= 0.5)):
        alone = table[part]
        result = results[metric] = metrics.directional_bias_amplification(
            truth_of(alone, task),
            groups_of(alone),
            pred_groups=said_groups(alone),
            train_labels=truth_of(train, task),
            train_groups=groups_of(train),
            replicates=0,
        )
        row = figure(rows, "A", metric, "group", task)
        assert (row["value"], row["n"]) == (pytest.approx(result.value), result.n)
        for pair in result.pairs.to_dict("records"):
            of_pair = figure(rows, "A", metric, "group", task, pair["group"], pair["label"])
            assert of_pair["value"] == pytest.approx(pair["value"])
            assert of_pair["n"] == pair["n"]
    apart = figure(rows, "A", APART, "group", task)
    assert apart["value"] == pytest.approx(results[OUTSIDE] - results[INSIDE])
    assert apart["low"] < apart["value"] < apart["high"]


def by_hand(inside, outside, labels=("ski", "surf")):
    """Make a table of images (sport, group, answer) with the evidence on the person, or not."""
    cells = [(*cell, hit) for part, hit in ((inside, 1.0), (outside, 0.0)) for cell in part]
    sport, group, answer, hit = zip(*cells)
    table = pd.DataFrame({"id": range(len(cells)), "split": "test"})
    table["group"], table["sport"] = group, sport
    for name in "ab":
        table[f"score/group/{name}"] = [0.9 if said == name else 0.1 for said in answer]
    for label in labels:
        table[f"score/sport/{label}"] = [float(label == true) for true in sport]
    table["evidence/gradcam/pointing_game"] = hit
    table["evidence/gradcam/relevance_mass"] = hit
    return table


TRAINED = pd.DataFrame(
    {
        "id": range(40),
        "split": "train",
        "group": ["a"] * 20 + ["b"] * 20,
        "sport": (["ski"] * 15 + ["surf"] * 5) + (["ski"] * 5 + ["surf"] * 15),
        **{f"score/group/{g}": 0.5 for g in "ab"},
        **{f"score/sport/{s}": 0.5 for s in ("ski", "surf")},
    }
)
# of each sport half of the images show each group
RIGHT = [(sport, group, group) for sport in ("ski", "surf") for group in "ab"] * 5
GUESSED = [(sport, g, "a" if sport == "ski" else "b") for sport, g, _ in RIGHT]


def test_images_with_evidence_outside_carry_all_amplification(tmp_path):
    """Right where it looks at the person; elsewhere it says the group that goes with the sport."""
    found = measure(*read(tmp_path, TRAINED, A=by_hand(RIGHT, GUESSED)), replicates=200)
    inside, outside, apart = (
        figure(found, "A", metric, "group", "sport") for metric in (INSIDE, OUTSIDE, APART)
    )
    assert (inside["value"], inside["n"]) == (0, 20)
    assert (outside["value"], outside["n"]) == (0.5, 20)
    assert apart["value"] == 0.5
    assert 0 < apart["low"] < 0.5 < apart["high"]
    assert figure(found, "A", "directional T->A", "group", "sport")["value"] == 0.25


def test_models_are_compared_in_each_part(tmp_path):
    tables = {"A": by_hand(RIGHT, GUESSED), "B": by_hand(RIGHT, RIGHT)}
    found = measure(*read(tmp_path, TRAINED, **tables), replicates=200)
    assert figure(found, "B - A", INSIDE, "group", "sport")["value"] == 0
    assert figure(found, "B - A", APART, "group", "sport")["value"] == -0.5
    assert figure(found, "B - A", APART, "group", "sport")["high"] < 0


def test_labels_that_only_one_part_has_are_in_neither(tmp_path):
    """All images of chess have their evidence outside: they would be compared with nothing."""
    chess = [("chess", "a", "b")] * 10
    table = by_hand(RIGHT, GUESSED + chess, ("ski", "surf", "chess"))
    train = TRAINED.assign(**{"score/sport/chess": 0.0})
    more = TRAINED.head(6).assign(id=range(90, 96), sport="chess", group=["a", "b"] * 3)
    models, reference = read(
        tmp_path, pd.concat([train, more.assign(**{"score/sport/chess": 0.0})]), A=table
    )
    found = measure(models, reference, replicates=20)
    outside = figure(found, "A", OUTSIDE, "group", "sport")
    assert (outside["value"], outside["n"]) == (0.5, 20)
    chess = figure(found, "A", OUTSIDE, "group", "sport", "a", "chess")
    assert np.isnan(chess["value"])
    assert chess["n"] == 0


@pytest.mark.parametrize("part", ["inside", "outside"])
def test_a_part_without_images_is_undefined_with_its_n(tmp_path, part):
    table = by_hand(RIGHT, []) if part == "outside" else by_hand([], RIGHT)
    found = measure(*read(tmp_path, TRAINED, A=table), replicates=20)
    row = figure(found, "A", f"directional T->A, evidence {part}", "group", "sport")
    assert np.isnan(row["value"])
    assert row["n"] == 0
    assert np.isnan(figure(found, "A", APART, "group", "sport")["value"])


def both_tables(table, said=False):
    """Return sport and objects as one table of 0 and 1, -1 where one of them is unknown."""
    sport, objects = (said_of if said else truth_of)(table, "sport"), None
    objects = (said_of if said else truth_of)(table, "objects").to_numpy()
    held = np.column_stack([sport.codes[:, None] == np.arange(3), objects]).astype(int)
    held[(sport.codes < 0) | (objects[:, 0] < 0)] = -1
    return held


@pytest.mark.parametrize("way", ["MALS", "A->T", "T->A"])
@pytest.mark.parametrize("task", ["objects", ""])
def test_sets_of_labels_are_those_of_the_metrics(drawn, rows, way, task):
    table, train = drawn["A"], drawn["train"]
    read_as = (
        (lambda t, said=False: (said_of if said else truth_of)(t, task)) if task else both_tables
    )
    said = {"pred_labels": read_as(table, said=True), "pred_groups": said_groups(table)}
    if way != "MALS":
        said.pop("pred_groups" if way == "A->T" else "pred_labels")
    result = metrics.multi_attribute_bias_amplification(
        read_as(train),
        groups_of(train),
        **said,
        labels=read_as(table),
        groups=groups_of(table),
        max_size=2,
        **CHANCE,
    )
    assert_is(figure(rows, "A", f"multi-attribute {way}", "group", task), result)
    of_sets = rows["metric"].str.startswith("multi-attribute")
    assert (rows.loc[of_sets, ["group", "label"]] == "").all(axis=None)  # sets have no rows
    assert "sport" not in set(rows.loc[of_sets, "task"])  # one label each: no sets


@pytest.mark.parametrize("task", ["sport", "objects"])
def test_leakage_is_that_of_the_metrics(drawn, rows, task):
    table = drawn["A"]
    labels, groups, said = truth_of(table, task), groups_of(table), said_of(table, task)
    result = metrics.leakage_amplification(labels, groups, said, **CHANCE)
    assert_is(figure(rows, "A", "leakage_amplification", "group", task), result)
    assert_is(figure(rows, "A", "model_leakage", "group", task), result.model)
    assert_is(figure(rows, "A", "perturbed_leakage", "group", task), result.data)
    result = metrics.directional_predictability_amplification(
        labels, groups, pred_groups=said_groups(table), **CHANCE
    )
    assert_is(figure(rows, "A", "predictability T->A", "group", task), result)
    of_task = rows[(rows["metric"] == "predictability A->T") & (rows["task"] == task)]
    assert of_task.empty == (task == "objects")


def test_attackers_see_so_many_images_at_most(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(amplification_figures, "ATTACKED", 150)
    found = measure(*read(tmp_path, drawn["train"], A=drawn["A"]), replicates=5)
    row = figure(found, "A", "model_leakage", "group", "sport")
    assert 50 < row["n"] <= 150


def test_attackers_are_left_out_where_they_would_say_little(answers, tmp_path, monkeypatch):
    models, reference = read(tmp_path, answers(split="train"), A=answers(90))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measure(models, reference, replicates=5)
    assert not found["metric"].str.contains("leakage|predictability").any()
    said = [line for line in cautions.left_out(models, reference) if "attackers" in line]
    assert len(said) == 2
    assert "fewer than 40 pictures" in said[0]
    monkeypatch.setattr(amplification_figures, "ATTACKED_LABELS", 1)
    assert "labels" in amplification_figures.not_attacked(models[0], "group", "objects")


def test_labels_with_few_images_of_a_group_are_warned_of(answers, tmp_path):
    models, reference = read(tmp_path, answers(split="train"), A=answers(60))
    said = list(cautions.cautions(models, measure(models, reference, replicates=5)))
    truth = models[0].truth
    few = sum(
        min(
            ((truth.codes("group") == g) & (truth.targets("sport") == label)).sum()
            for g in range(3)
        )
        < 10
        for label in range(3)
    )
    assert any(f"{few} of 3 labels of sport have fewer than 10" in line for line in said)


def versions(table, *, without=0):
    """Return a table in which every image is there once for each group."""
    number = np.arange(len(table))
    group = np.array(GROUPS)[number % len(GROUPS)]
    table = table.assign(
        id=[f"p-{n // len(GROUPS)}-{own}" for n, own in zip(number, group)],
        group=group,
        sport=np.repeat(table["sport"].to_numpy()[: len(table) // len(GROUPS)], len(GROUPS)),
    )
    return table.iloc[without:].reset_index(drop=True)


def test_images_that_are_there_for_every_group_give_their_bias(drawn, tmp_path):
    a, b = versions(drawn["A"].head(120)), versions(drawn["B"].head(120))
    rows = measure(*read(tmp_path, drawn["train"], A=a, B=b), replicates=100)
    results = {
        name: metrics.cifar10s_bias(
            said_of(table, "sport"), table["group"], images=np.arange(120) // 3, **CHANCE
        )
        for name, table in (("A", a), ("B", b))
    }
    for name, result in results.items():
        assert_is(figure(rows, name, "cifar10s_bias", "group", "sport"), result)
        for pair in result.pairs.to_dict("records"):
            row = figure(rows, name, "cifar10s_bias", "group", "sport", label=pair["label"])
            assert row["value"] == pytest.approx(pair["value"])
    difference = metrics.compare(results["A"], results["B"])
    assert_is(figure(rows, "B - A", "cifar10s_bias", "group", "sport"), difference)
    assert not ((rows["metric"] == "cifar10s_bias") & (rows["task"] == "objects")).any()


@pytest.mark.parametrize("change", ["one version is missing", "other ids", "unknown group"])
def test_without_all_versions_there_is_no_such_bias(drawn, tmp_path, change):
    table = versions(drawn["A"].head(120), without=int(change == "one version is missing"))
    if change == "other ids":
        table["id"] = [f"{n}" for n in range(len(table))]
    if change == "unknown group":
        table.loc[5, "group"] = None
    rows = measure(*read(tmp_path, drawn["train"], A=table, B=table), replicates=10)
    assert "cifar10s_bias" not in set(rows["metric"])


def test_very_many_small_groups_are_one_short_line():
    images = {f"person {i} {'x' * 200}": i % 12 for i in range(3000)}
    (line,) = cautions.few_images("identity", images)
    told = str(FairvisionWarning(line))
    assert told.startswith("2500 of 3000 groups of identity have fewer than 10 pictures: person 0 ")
    assert told.endswith("and 2492 more: their figures say little")
    assert len(told.encode()) <= 500
