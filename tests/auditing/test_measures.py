"""Every figure of the metrics table, computed a second time by brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from fairvision.auditing.measures import measure
from fairvision.auditing.tables import read_predictions
from fairvision.results.figures import COLUMNS

GROUPS, LABELS, OBJECTS = ("a", "b", "c"), ("ski", "surf", "chess"), ("kite", "tie")
UNITS = {"fraction", "difference", "probability", "number"}


@pytest.fixture(scope="module")
def drawn(answers):
    return {
        "A": answers(seed=1),
        "B": answers(seed=2),
        "train": answers(400, seed=3, split="train"),
    }


@pytest.fixture(scope="module")
def measured(drawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    for name, table in drawn.items():
        table.to_parquet(folder / f"{name}.parquet")
    models, *_ = read_predictions(
        [folder / "A.parquet", folder / "B.parquet"], ["A", "B"], split="test"
    )
    (train,), *_ = read_predictions([folder / "train.parquet"], ["train"], split="train")
    return measure(models, train.truth, replicates=200)


@pytest.fixture
def value(measured):
    def get(model, metric, attribute="", task="", group="", label="", column="value"):
        keys = (model, metric, attribute, task, group, label)
        rows = measured[(measured[list(COLUMNS[:6])] == list(keys)).all(axis=1)]
        assert len(rows) == 1, keys
        return rows[column].iloc[0]

    return get


def guess(table, head, names, kind="score"):
    scores = table[[f"{kind}/{head}/{name}" for name in names]].to_numpy()
    return np.array(
        [None if np.isnan(row).any() else names[row.argmax()] for row in scores], object
    )


def known(column):
    return column.notna().to_numpy()


def test_the_table_is_tidy(measured):
    assert tuple(measured.columns) == COLUMNS
    assert not measured.duplicated(list(COLUMNS[:6])).any()
    assert set(measured["unit"]) <= UNITS
    assert set(measured["model"]) == {"A", "B", "B - A"}
    assert not measured[list(COLUMNS[:6])].isna().any().any()
    defined = measured["value"].notna()
    assert defined.mean() > 0.9
    inside = measured["low"].le(measured["value"] + 0.2) & measured["high"].ge(
        measured["value"] - 0.2
    )
    assert (inside | ~defined).all()


@pytest.mark.parametrize("model", ["A", "B"])
def test_accuracy_error_and_confusion(drawn, value, model):
    table = drawn[model]
    right = guess(table, "group", GROUPS) == table["group"]
    mask = known(table["group"])
    assert value(model, "accuracy", "group") == pytest.approx(right[mask].mean())
    assert value(model, "error", "group") == pytest.approx(1 - right[mask].mean())
    assert value(model, "accuracy", "group", column="n") == mask.sum()
    by_group = [right[table["group"] == g].mean() for g in GROUPS]
    for g, expected in zip(GROUPS, by_group):
        assert value(model, "accuracy", "group", group=g) == pytest.approx(expected)
    assert value(model, "accuracy_gap", "group") == pytest.approx(max(by_group) - min(by_group))
    for g, h in itertools.product(GROUPS, GROUPS):
        taken = (guess(table, "group", GROUPS) == h)[table["group"] == g]
        assert value(model, "confusion", "group", group=g, label=h) == pytest.approx(taken.mean())


@pytest.mark.parametrize("group", ["", *GROUPS, "unknown"])
def test_accuracy_of_a_task_by_group(drawn, value, group):
    table = drawn["A"]
    rows = known(table["sport"])
    if group:
        rows = rows & (table["group"].fillna("unknown") == group)
    expected = (guess(table, "sport", LABELS) == table["sport"])[rows].mean()
    got = value("A", "accuracy", "group" if group else "", "sport", group)
    assert got == pytest.approx(expected)


def test_accuracy_where_many_labels_may_hold_counts_decisions(drawn, value):
    table = drawn["A"][known(drawn["A"]["objects"])]
    truth = np.array([[o in cell for o in OBJECTS] for cell in table["objects"]])
    decided = table[[f"score/objects/{o}" for o in OBJECTS]].to_numpy() > 0.5
    assert value("A", "accuracy", "", "objects") == pytest.approx((truth == decided).mean())


def test_balanced_accuracy_is_that_of_each_label_against_all_others(drawn, value):
    from sklearn.metrics import balanced_accuracy_score

    table = drawn["A"][known(drawn["A"]["sport"])]
    answers = guess(table, "sport", LABELS)
    of_sport = [balanced_accuracy_score(table["sport"] == s, answers == s) for s in LABELS]
    assert value("A", "balanced_accuracy", "", "sport") == pytest.approx(np.mean(of_sport))
    table = drawn["A"][known(drawn["A"]["objects"])]
    of_objects = [
        balanced_accuracy_score([o in cell for cell in table["objects"]], scores > 0.5)
        for o, scores in ((o, table[f"score/objects/{o}"]) for o in OBJECTS)
    ]
    assert value("A", "balanced_accuracy", "", "objects") == pytest.approx(np.mean(of_objects))


def test_average_precision_agrees_with_scikit_learn(drawn, value):
    from sklearn.metrics import average_precision_score

    table = drawn["A"][known(drawn["A"]["objects"])]
    each = []
    for label in OBJECTS:
        truth = [label in cell for cell in table["objects"]]
        each.append(average_precision_score(truth, table[f"score/objects/{label}"]))
        assert value("A", "average_precision", "", "objects", label=label) == pytest.approx(
            each[-1]
        )
    assert value("A", "average_precision", "", "objects") == pytest.approx(np.mean(each))


@pytest.mark.parametrize("kind", ["hidden", "person"])
def test_accuracy_with_the_person_hidden_or_alone(drawn, value, kind):
    table = drawn["B"]
    said = guess(table, "group", GROUPS, kind)
    rows = known(table["group"]) & (said != None)  # noqa: E711
    assert value("B", f"{kind}_accuracy", "group") == pytest.approx(
        (said == table["group"])[rows].mean()
    )
    assert value("B", f"{kind}_accuracy", "group", column="n") == rows.sum()


def test_probability_gap_with_the_person_hidden(drawn, value):
    scores = drawn["A"][[f"hidden/group/{g}" for g in GROUPS]].dropna().to_numpy()
    pairs = [abs(scores[:, i] - scores[:, j]) for i, j in itertools.combinations(range(3), 2)]
    assert value("A", "hidden_probability_gap", "group") == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize("measure", ["pointing_game", "relevance_mass"])
def test_evidence_its_chance_level_and_the_lift(drawn, value, measure):
    table = drawn["A"].dropna(subset=["evidence/chance"])
    found, chance = table[f"evidence/gradcam/{measure}"], table["evidence/chance"]
    assert value("A", measure, "group") == pytest.approx(found.mean())
    assert value("A", "chance_level", "group") == pytest.approx(chance.mean())
    assert value("A", f"{measure}_lift", "group") == pytest.approx((found - chance).mean())


@pytest.mark.parametrize("group", ["", *GROUPS])
def test_right_and_wrong_by_evidence(drawn, value, group):
    table = drawn["A"]
    inside = table["evidence/gradcam/pointing_game"]
    rows = known(table["group"]) & table["evidence/chance"].between(0, 1, inclusive="neither")
    if group:
        rows &= table["group"] == group
    right = (guess(table, "group", GROUPS) == table["group"])[rows]
    on_person, elsewhere = inside[rows] > 0.5, inside[rows] <= 0.5
    expected = {
        "right, evidence on the person": right & on_person,
        "right, evidence elsewhere": right & elsewhere,
        "wrong, evidence on the person": ~right & on_person,
        "wrong, evidence elsewhere": ~right & elsewhere,
        "no evidence": inside[rows].isna(),
    }
    for cell, members in expected.items():
        share = value("A", "evidence_cells", "group", "", group, cell)
        assert share == pytest.approx(members.mean())


def co_occurrences(group, labels, names):
    """Count rows by (group, label); a row may have several labels."""
    counts = np.zeros((len(GROUPS), len(names)))
    for g, some in zip(group, labels):
        for label in some:
            counts[GROUPS.index(g), names.index(label)] += 1
    return counts


def as_lists(column):
    return [None if c is None or c is np.nan or c != c else [c] for c in column]


def truth_lists(table, task):
    if task == "objects":
        return [None if cell is None else list(cell) for cell in table["objects"]]
    return as_lists(table["sport"])


def guess_lists(table, task):
    if task == "sport":
        return [[label] for label in guess(table, "sport", LABELS)]
    decided = table[[f"score/objects/{o}" for o in OBJECTS]].to_numpy() > 0.5
    return [[o for o, yes in zip(OBJECTS, row) if yes] for row in decided]


def both_known(group, labels):
    rows = [(g, some) for g, some in zip(group, labels) if isinstance(g, str) and some is not None]
    return [g for g, _ in rows], [some for _, some in rows]


@pytest.mark.parametrize(("task", "names"), [("sport", LABELS), ("objects", OBJECTS)])
@pytest.mark.parametrize("model", ["A", "B"])
def test_mals(drawn, value, model, task, names):
    train, table = drawn["train"], drawn[model]
    reference = co_occurrences(*both_known(train["group"], truth_lists(train, task)), names)
    predicted = co_occurrences(guess(table, "group", GROUPS), guess_lists(table, task), names)
    reference /= reference.sum(axis=0)
    predicted /= predicted.sum(axis=0)
    expected = ((predicted - reference) * (reference > 1 / 3)).sum() / len(names)
    assert value(model, "bias_amplification_mals", "group", task) == pytest.approx(expected)


@pytest.mark.parametrize("direction", ["A->T", "T->A"])
@pytest.mark.parametrize(("task", "names"), [("sport", LABELS), ("objects", OBJECTS)])
def test_directional_amplification(drawn, value, direction, task, names):
    train, table = drawn["train"], drawn["A"]
    group, labels = both_known(train["group"], truth_lists(train, task))
    n, counts = len(group), co_occurrences(group, labels, names)
    of_group = np.array([group.count(g) for g in GROUPS])
    sign = np.sign(counts * n - np.outer(of_group, counts.sum(axis=0)))
    rows = [
        row
        for row in zip(
            table["group"],
            truth_lists(table, task),
            guess(table, "group", GROUPS),
            guess_lists(table, task),
        )
        if isinstance(row[0], str) and row[1] is not None
    ]
    changes = []
    for i, g in enumerate(GROUPS):
        for j, label in enumerate(names):
            if direction == "A->T":
                mine = [row for row in rows if row[0] == g]
                after = np.mean([label in row[3] for row in mine])
                before = np.mean([label in row[1] for row in mine])
            else:
                mine = [row for row in rows if label in row[1]]
                after = np.mean([row[2] == g for row in mine])
                before = np.mean([row[0] == g for row in mine])
            changes.append(sign[i, j] * (after - before))
            assert value("A", f"directional {direction}", "group", task, g, label) == pytest.approx(
                changes[-1]
            )
    assert value("A", f"directional {direction}", "group", task) == pytest.approx(np.mean(changes))


def test_accuracy_where_the_context_agrees_or_disagrees(drawn, value):
    train, table = drawn["train"], drawn["A"]
    counts = co_occurrences(*both_known(train["group"], truth_lists(train, "sport")), LABELS)
    sizes = [counts[i].sum() for i in range(3)]
    shares = counts / np.array(sizes)[:, None]
    typical = [GROUPS[i] for i in shares.argmax(axis=0)]
    right = {True: [], False: []}
    for group, label, said in zip(table["group"], table["sport"], guess(table, "group", GROUPS)):
        if isinstance(group, str) and isinstance(label, str):
            agrees = typical[LABELS.index(label)] == group
            right[agrees].append(said == group)
    agree, disagree = np.mean(right[True]), np.mean(right[False])
    assert value("A", "accuracy_context_agrees", "group", "sport") == pytest.approx(agree)
    assert value("A", "accuracy_context_disagrees", "group", "sport") == pytest.approx(disagree)
    assert value("A", "context_gap", "group", "sport") == pytest.approx(agree - disagree)


def test_every_difference_is_that_of_the_two_models(measured):
    keys = list(COLUMNS[1:6])
    a, b, difference = (
        measured[measured["model"] == name].set_index(keys)["value"] for name in ("A", "B", "B - A")
    )
    assert set(difference.index) == set(a.index)
    pd.testing.assert_series_equal(
        difference.sort_index(), (b - a).sort_index(), check_exact=False, atol=1e-12
    )


def test_the_same_answers_twice_differ_by_exactly_zero(answers, tmp_path):
    answers(50).to_parquet(tmp_path / "A.parquet")
    models, *_ = read_predictions([tmp_path / "A.parquet"] * 2, ["A", "B"], split="test")
    table = measure(models, models[0].truth, replicates=20)
    difference = table[(table["model"] == "B - A") & table["value"].notna()]
    assert len(difference) > 50
    assert (difference[["value", "low", "high"]].fillna(0) == 0).all(axis=None)


def test_paired_differences_are_narrower_than_those_of_unpaired_models(answers, tmp_path):
    table = answers(300)
    table.to_parquet(tmp_path / "A.parquet")
    wrong = table["id"].isin(["p1", "p2"])
    flipped = table[[f"score/group/{g}" for g in GROUPS]].to_numpy().copy()
    flipped[wrong] = np.roll(flipped[wrong], 1, axis=1)
    table[[f"score/group/{g}" for g in GROUPS]] = flipped
    table.to_parquet(tmp_path / "B.parquet")
    paths = [tmp_path / "A.parquet", tmp_path / "B.parquet"]
    models, *_ = read_predictions(paths, ["A", "B"], split="test")
    rows = measure(models, None, replicates=200)
    rows = rows[(rows["metric"] == "accuracy") & (rows["attribute"] == "group")]
    rows = rows[(rows["group"] == "") & (rows["task"] == "")].set_index("model")
    width = rows["high"] - rows["low"]
    assert width["B - A"] < width["A"] / 2


def test_without_reference_there_is_no_amplification_and_no_context(answers, tmp_path):
    answers(30).to_parquet(tmp_path / "A.parquet")
    models, *_ = read_predictions([tmp_path / "A.parquet"], ["A"], split="test")
    found = set(measure(models, None, replicates=5)["metric"])
    assert not {m for m in found if "amplification" in m or "directional" in m or "context" in m}


def test_differences_in_evidence_are_taken_where_both_models_have_some(answers, tmp_path):
    column = "evidence/gradcam/pointing_game"
    tables = {"A": answers(seed=1), "B": answers(seed=2)}
    for part, (name, table) in enumerate(tables.items()):
        table.loc[table.index % 3 == part, [column, "evidence/gradcam/relevance_mass"]] = np.nan
        table.to_parquet(tmp_path / f"{name}.parquet")
    models, *_ = read_predictions(
        [tmp_path / "A.parquet", tmp_path / "B.parquet"], ["A", "B"], split="test"
    )
    figures = measure(models, None, replicates=20).set_index(["model", "metric", "group", "label"])
    a, b = (tables[name][column] for name in "AB")
    both = known(a) & known(b)
    found = figures.sort_index().loc[[("B - A", "pointing_game", "", "")]].iloc[0]
    assert found["n"] == both.sum() < known(a).sum()
    assert found["value"] == pytest.approx(b[both].mean() - a[both].mean(), abs=1e-12)
