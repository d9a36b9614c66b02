"""Thresholds per group: fairlearn's own, carried over numbers, and what has none."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fairlearn.postprocessing import ThresholdOptimizer as Fairlearns
from sklearn.linear_model import LogisticRegression

from fairvision import methods
from fairvision.datasets import Dataset, Task
from fairvision.errors import FairvisionWarning, InputError
from fairvision.methods.threshold_optimizer import (
    CONSTRAINTS,
    OBJECTIVES,
    ThresholdOptimizer,
    learn,
)
from fairvision.runs import thresholds
from fairvision.runs.thresholds import Interpolation, recentred

GROUPS = ("a", "b", "c")
PAIRS = [
    (constraint, objective)
    for constraint in CONSTRAINTS
    for objective in OBJECTIVES
    if constraint != "equalized_odds" or "accuracy" in objective
]


def drawn(n: int = 400, seed: int = 0, ties: bool = False):
    """Return scores, truth and groups; the groups' scores lie at different heights."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 3, n)
    holds = rng.random(n) < np.array([0.2, 0.5, 0.7])[groups]
    scores = 1 / (1 + np.exp(-rng.normal(1.5 * holds - 1 + 0.7 * groups, 1)))
    return (scores.round(1) if ties else scores), holds, groups


def optimizer(constraint, objective, scores, holds, groups):
    """Return fairlearn's own, on an ordinary classifier whose scores are these."""
    logits = np.log(scores.clip(1e-6, 1 - 1e-6) / (1 - scores.clip(1e-6, 1 - 1e-6)))[:, None]
    model = LogisticRegression().fit(logits, holds)
    model.coef_[:], model.intercept_[:] = 1, 0
    found = Fairlearns(
        estimator=model,
        constraints=constraint,
        objective=objective,
        prefit=True,
        predict_method="predict_proba",
    )
    return found.fit(logits, holds, sensitive_features=groups), logits, model


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("constraint", "objective"), PAIRS)
def test_decisions_are_fairlearns_for_the_same_draws(constraint, objective, ties):
    theirs, logits, model = optimizer(constraint, objective, *drawn(ties=ties))
    scores = model.predict_proba(logits)[:, 1]
    _, holds, groups = drawn(ties=ties)
    ours = learn(scores, holds, groups, constraint=constraint, objective=objective)
    assert sorted(ours) == [0, 1, 2]
    for seed in range(3):
        expected = theirs.predict(logits, sensitive_features=groups, random_state=seed)
        draws = np.random.RandomState(seed).rand(len(scores))
        limits = np.empty(len(scores))
        for code, interpolation in ours.items():
            own = groups == code
            limits[own] = interpolation.threshold(draws[own])
        assert (scores > limits).tolist() == (expected == 1).tolist()
        assert (recentred(scores, limits) > 0.5).tolist() == (expected == 1).tolist()


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_over_all_draws_yes_is_as_likely_as_by_fairlearn(constraint):
    theirs, logits, model = optimizer(constraint, "accuracy_score", *drawn())
    scores = model.predict_proba(logits)[:, 1]
    _, holds, groups = drawn()
    ours = learn(scores, holds, groups, constraint=constraint, objective="accuracy_score")
    grid = (np.arange(20_000) + 0.5) / 20_000
    likely = theirs._pmf_predict(logits, sensitive_features=groups)[:, 1]
    for row in range(60):
        yes = scores[row] > ours[groups[row]].threshold(grid)
        assert yes.mean() == pytest.approx(likely[row], abs=1e-4)


def test_two_groups_separated_perfectly():
    scores, holds = np.array([0.1, 0.2, 0.6, 0.7] * 2), np.array([0, 0, 1, 1] * 2, bool)
    scores[4:] += 0.2
    found = learn(
        *(scores, holds, np.repeat([0, 1], 4)),
        constraint="equalized_odds",
        objective="accuracy_score",
    )
    draws = np.linspace(0, 1, 11)[1:]
    assert found[0].threshold(draws) == pytest.approx(0.4)
    assert found[1].threshold(draws) == pytest.approx(0.6)


def test_scores_that_are_not_finite_are_refused():
    scores, holds, groups = drawn(20)
    scores[3] = np.nan
    with pytest.raises(InputError, match="not finite"):
        learn(scores, holds, groups, constraint="equalized_odds", objective="accuracy_score")


# What is learnt from a dataset.


def make_dataset(n: int = 300, *, tasks: dict | None = None, **columns) -> tuple[Dataset, dict]:
    """Return images of three groups and of none, and scores of their tasks."""
    rng = np.random.default_rng(1)
    group = rng.integers(0, 4, n)
    one, of_three = rng.integers(0, 2, n), rng.integers(0, 3, n)
    many = rng.random((n, 3)) < 0.5
    things = ("cup", "hat", "dog")
    table = {
        "id": [str(i) for i in range(n)],
        "image": "x.png",
        "mask": None,
        "split": np.where(np.arange(n) % 3, "val", "test"),
        "colour": np.array([*GROUPS, None], dtype=object)[group],
        "light": np.array(["no", "yes"])[one],
        "place": np.array(["road", "lake", "hill"])[of_three],
        "things": [tuple(t for t, h in zip(things, row) if h) for row in many],
        **columns,
    }
    tasks = tasks or {
        "light": Task(("no", "yes")),
        "place": Task(("road", "lake", "hill")),
        "things": Task(things, many=True),
    }
    samples = pd.DataFrame(table, dtype=object)
    dataset = Dataset(Path("d"), "d", {"colour": GROUPS}, tasks, samples)
    shift = 0.8 * group[:, None] % 3
    logits = {
        "light": rng.normal(np.eye(2)[one] + [0, 1] * shift, 1),
        "place": rng.normal(np.eye(3)[of_three] + [0, 1, 0] * shift, 1),
    }
    scores = {k: np.exp(v) / np.exp(v).sum(axis=1, keepdims=True) for k, v in logits.items()}
    scores["things"] = 1 / (1 + np.exp(-rng.normal(2 * many - 1 + shift, 1)))
    return dataset, scores


def as_table(dataset: Dataset, scores: dict) -> pd.DataFrame:
    return pd.DataFrame(
        {
            f"score/{task}/{label}": column
            for task, some in scores.items()
            for label, column in zip(dataset.tasks[task].labels, some.T)
        }
    )


def learnt(dataset: Dataset, scores: dict, **settings) -> thresholds.Rule:
    validation = (dataset.samples["split"] == "val").to_numpy()
    learner = ThresholdOptimizer(**settings).thresholds(dataset, list(dataset.tasks))
    return learner({task: some[validation] for task, some in scores.items()})


def test_every_kind_of_task_gets_thresholds_and_keeps_to_probabilities(tmp_path):
    dataset, scores = make_dataset()
    rule = learnt(dataset, scores)
    assert {task: list(rules) for task, rules in rule.tasks.items()} == {
        "light": ["yes"],
        "place": ["road", "lake", "hill"],
        "things": ["cup", "hat", "dog"],
    }
    before = as_table(dataset, scores)
    changed = rule.applied(before, dataset, seed=0)
    assert list(changed) == list(before)
    assert ((changed >= 0) & (changed <= 1)).all(axis=None)
    for task in ("light", "place"):
        np.testing.assert_allclose(changed.filter(like=f"/{task}/").sum(axis=1), 1)
    unknown = dataset.samples["colour"].isna()
    assert unknown.any()
    pd.testing.assert_frame_equal(changed[unknown], before[unknown])
    assert not np.allclose(changed[~unknown], before[~unknown])
    pd.testing.assert_frame_equal(rule.applied(before, dataset, seed=0), changed)
    assert not rule.applied(before, dataset, seed=1).equals(changed)
    note = rule.note(dataset)
    assert "light, place, things are post-processed by the annotated colour of each" in note
    assert f"{unknown.sum()} of {len(dataset)} have no known one, and keep their scores" in note


def test_a_image_is_decided_alike_whichever_are_beside_it():
    dataset, scores = make_dataset()
    rule, table = learnt(dataset, scores), as_table(dataset, scores)
    whole = rule.applied(table, dataset, seed=0)
    test = dataset.split("test")
    rows = (dataset.samples["split"] == "test").to_numpy()
    part = rule.applied(table[rows].reset_index(drop=True), test, seed=0)
    pd.testing.assert_frame_equal(part, whole[rows].reset_index(drop=True))


def test_of_two_labels_the_answer_is_the_rules():
    dataset, scores = make_dataset()
    rule = learnt(dataset, scores, constraint="true_positive_rate_parity")
    changed = rule.applied(as_table(dataset, scores), dataset, seed=5)
    says = changed["score/light/yes"] > changed["score/light/no"]
    for row, group in enumerate(dataset.samples["colour"]):
        threshold = 0.5
        if group is not None:
            drawn = np.array([thresholds.draw(5, str(row), "light", "yes")])
            (threshold,) = rule.tasks["light"]["yes"][group].threshold(drawn)
        assert says[row] == (scores["light"][row, 1] > threshold)


def test_rates_are_nearer_on_the_split_where_they_were_learnt():
    dataset, scores = make_dataset(3000)
    rule = learnt(dataset, scores, constraint="demographic_parity")
    validation = (dataset.samples["split"] == "val").to_numpy()
    before = as_table(dataset, scores)
    changed = rule.applied(before, dataset, seed=0)

    def gap(table, column):
        yes = (table[column] > 0.5)[validation]
        rates = yes.groupby(dataset.samples["colour"][validation]).mean()
        return rates.max() - rates.min()

    for column in ("score/light/yes", "score/things/cup", "score/things/dog"):
        assert gap(before, column) > 0.2
        assert gap(changed, column) < 0.1


def test_the_rule_is_the_same_after_json(tmp_path, make_run):
    dataset, scores = make_dataset()
    rule = learnt(dataset, scores)
    run = thresholds.runs.load(make_run())
    assert thresholds.read(run) is None
    assert thresholds.without_groups(run) == ""
    run.config["postprocessing"] = "colour"
    with pytest.raises(InputError, match=r"lacks its postprocessing\.json: train it again"):
        thresholds.read(run)
    thresholds.write(run.folder, rule)
    assert thresholds.read(run) == rule
    assert "thresholds per colour" in thresholds.without_groups(run)
    told = json.loads((run.folder / thresholds.FILE).read_text())
    (numbers,) = {tuple(own) for own in told["tasks"]["light"]["yes"].values()}
    assert numbers == (
        *("p0", "threshold0", "p1", "threshold1"),
        *("p_ignore", "prediction_constant"),
    )


@pytest.mark.parametrize(
    "damage",
    [
        {"attribute": "age"},
        {"tasks": 3},
        {"tasks": {"light": {"yes": {"a": {"p0": 1}}}}},
        {"tasks": {"light": {"yes": {"a": {}}}}},
        {"pictures": None},
    ],
)
def test_a_damaged_rule_is_one_line(make_run, damage):
    run = thresholds.runs.load(make_run())
    run.config["postprocessing"] = "colour"
    dataset, scores = make_dataset()
    thresholds.write(run.folder, learnt(dataset, scores))
    path = run.folder / thresholds.FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **damage}))
    with pytest.raises(InputError, match="is damaged"):
        thresholds.read(run)


@pytest.mark.parametrize(
    "numbers",
    [(2, 0.5, 0, 0.5), (1, float("nan"), 0, 0.5), (0.5, 0.5, 0.5, 7), (-0.1, 0.5, 1, 0.5)],
)
def test_numbers_that_are_no_thresholds_are_refused(numbers):
    with pytest.raises(ValueError, match="not probabilities"):
        Interpolation(*numbers)


def test_data_without_the_attribute_or_the_task_keeps_its_scores():
    dataset, scores = make_dataset()
    rule, table = learnt(dataset, scores), as_table(dataset, scores)
    bare = Dataset(Path("d"), "d", {}, dataset.tasks, dataset.samples.drop(columns="colour"))
    pd.testing.assert_frame_equal(rule.applied(table, bare, seed=0), table)
    assert "the data has no 'colour'" in rule.note(bare)
    fewer = table.filter(like="/light/")
    assert list(rule.applied(fewer, dataset, seed=0)) == list(fewer)


def test_labels_in_another_order_get_the_same_scores():
    dataset, scores = make_dataset()
    rule, table = learnt(dataset, scores), as_table(dataset, scores)
    turned = {
        "light": Task(("yes", "no")),
        "place": Task(("hill", "road", "lake")),
        "things": Task(("dog", "cup", "hat"), many=True),
    }
    other = Dataset(Path("d"), "d", {"colour": GROUPS[::-1]}, turned, dataset.samples)
    pd.testing.assert_frame_equal(
        rule.applied(table, other, seed=0), rule.applied(table, dataset, seed=0)
    )


def test_scores_that_are_nan_stay_nan():
    dataset, scores = make_dataset()
    rule, table = learnt(dataset, scores), as_table(dataset, scores)
    table.iloc[:5] = np.nan
    assert rule.applied(table, dataset, seed=0).iloc[:5].isna().all(axis=None)


def test_groups_and_labels_that_cannot_have_thresholds_are_named():
    n = 300
    colour = np.array([*GROUPS, None], dtype=object)[np.arange(n) % 4]
    light = np.where(colour == "b", "yes", np.where(np.arange(n) // 4 % 2, "yes", "no"))
    things = [("cup",) if i // 4 % 2 else () for i in range(n)]
    dataset, scores = make_dataset(n, colour=colour, light=light, things=things)
    with pytest.warns(FairvisionWarning) as caught:
        rule = learnt(dataset, scores)
    said = [str(warning.message) for warning in caught]
    assert said[0].startswith("no thresholds of 'light' for yes (colour b): a group needs")
    assert said[1].startswith("no thresholds of 'things' for hat, dog: a group needs")
    assert list(rule.tasks["light"]["yes"]) == ["a", "c"]
    assert list(rule.tasks["things"]) == ["cup"]
    table = as_table(dataset, scores)
    changed = rule.applied(table, dataset, seed=0)
    kept = dataset.samples["colour"] == "b"
    columns = ["score/light/no", "score/light/yes"]
    pd.testing.assert_frame_equal(changed.loc[kept, columns], table.loc[kept, columns])
    assert changed["score/things/hat"].equals(table["score/things/hat"])
    assert not changed["score/things/cup"].equals(table["score/things/cup"])


def test_a_group_without_validation_images_keeps_its_scores():
    n = 300
    split = np.where(np.arange(n) % 3, "val", "test")
    colour = np.where(split == "test", "c", np.where(np.arange(n) % 2, "a", "b")).astype(object)
    dataset, scores = make_dataset(n, colour=colour)
    with pytest.warns(FairvisionWarning, match=r"of 'place' for road \(colour c\), lake \(colour"):
        rule = learnt(dataset, scores)
    table = as_table(dataset, scores)
    changed, kept = rule.applied(table, dataset, seed=0), (colour == "c")
    pd.testing.assert_frame_equal(changed[kept], table[kept])


def test_many_labels_without_thresholds_are_not_all_listed():
    labels = tuple(f"t{i}" for i in range(12))
    things = [("t0",)] * 300
    dataset, _ = make_dataset(tasks={"things": Task(labels, many=True)}, things=things)
    with pytest.warns(FairvisionWarning, match="t6, t7 and 4 more: a group needs"):
        ThresholdOptimizer().thresholds(dataset, ["things"])


@pytest.mark.parametrize(
    ("changes", "options", "match"),
    [
        ({}, {"constraint": "parity"}, "constraint 'parity' is not one of equalized_odds, "),
        ({}, {"objective": "profit"}, "objective 'profit' is not one of accuracy_score, "),
        ({}, {"objective": "selection_rate"}, "takes the objective accuracy_score or balanced"),
        ({}, {"domain": "age"}, "has no attribute 'age': it has colour"),
        ({"split": "train"}, {}, "learnt on the validation split, and d has none"),
        ({"colour": None}, {}, "'colour' is unknown for every validation picture"),
    ],
)
def test_what_is_missing_is_said(changes, options, match):
    dataset, _ = make_dataset(**changes)
    with pytest.raises(InputError, match=match):
        ThresholdOptimizer(**options).thresholds(dataset, list(dataset.tasks))


def test_an_attribute_and_a_task_are_needed():
    dataset, _ = make_dataset()
    with pytest.raises(InputError, match="none is learnt: add a task"):
        ThresholdOptimizer().thresholds(dataset, ["colour"])
    bare = Dataset(Path("d"), "d", {}, dataset.tasks, dataset.samples)
    with pytest.raises(InputError, match="needs an attribute, and d has none"):
        ThresholdOptimizer().thresholds(bare, ["light"])


def test_what_is_complete_is_learnt_without_a_word():
    dataset, scores = make_dataset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for constraint in CONSTRAINTS:
            rule = learnt(dataset, scores, constraint=constraint)
    validation = dataset.split("val").samples
    assert (rule.with_group, rule.images) == (validation["colour"].notna().sum(), len(validation))


def test_the_options_are_fairlearns():
    assert "--constraint equalized_odds" in methods.describe()
    scores, holds, groups = drawn(60)
    for constraint, objective in PAIRS:
        learn(scores, holds, groups, constraint=constraint, objective=objective)
