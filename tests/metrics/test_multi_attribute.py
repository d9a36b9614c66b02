from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from pathlib import Path
from statistics import pvariance
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairvision import metrics
from fairvision.errors import FairvisionWarning, InputError
from fairvision.metrics import multi_attribute
from fairvision.metrics._engine.inputs import read_labels
from fairvision.metrics.multi_attribute import common_sets

amplification = metrics.multi_attribute_bias_amplification
Rows = list[tuple[frozenset, Any]]


def known_rows(labels: np.ndarray, *groups: np.ndarray) -> list[tuple[frozenset, ...]]:
    """The labels and groups of the rows in which all is known."""
    return [
        (frozenset(np.flatnonzero(row).tolist()), *of)
        for row, *of in zip(labels, *groups)
        if -1 not in row and -1 not in of
    ]


def subsets(rows: Rows, max_size: int | None) -> set[tuple]:
    return {
        chosen
        for labels, *_ in rows
        for size in range(1, 1 + min(len(labels), max_size or len(labels)))
        for chosen in combinations(sorted(labels), size)
    }


def ratio(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


def count(rows: Rows, chosen: tuple, group: Any = None) -> int:
    return sum(set(chosen) <= of[0] and group in (None, of[-1]) for of in rows)


tables = arrays(np.int8, (9, 3), elements=st.integers(0, 1)).map(
    lambda drawn: np.where((drawn.sum(axis=1) == 3)[:, None] & (drawn[0] == 1).all(), -1, drawn)
)
codes = arrays(np.int8, 9, elements=st.integers(-1, 2))


@given(tables, codes, tables, codes, tables, codes, st.sampled_from([None, 1, 2]), st.booleans())
def test_undirected_is_its_definition(
    train: np.ndarray,
    train_groups: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    pred: np.ndarray,
    pred_groups: np.ndarray,
    max_size: int | None,
    strict: bool,
) -> None:
    names = sorted({*train_groups, *groups, *pred_groups} - {-1})
    before, said = known_rows(train, train_groups), known_rows(pred, pred_groups)
    sets = subsets(before, max_size) & subsets(known_rows(labels, groups), max_size)
    sums, changes = [], []
    for chosen in sets:
        if not count(said, chosen):
            continue
        of_set = []
        for group in names:
            was = Fraction(count(before, chosen, group), count(before, chosen))
            now = Fraction(count(said, chosen, group), count(said, chosen))
            of_set.append(now - was if was > Fraction(1, len(names)) else Fraction(0))
        sums.append(sum(map(abs, of_set)))
        changes += of_set
    result = amplification(
        train,
        train_groups,
        pred,
        pred_groups,
        labels=labels,
        groups=groups,
        max_size=max_size,
        strict=strict,
        replicates=5,
    )
    assert result.sets == len(sets)
    assert result.n == len(said)
    if len(names) < 2 or not sums:
        assert np.isnan([result.value, result.variance]).all()
    else:
        assert result.value == pytest.approx(
            float(sum(sums) / (len(sets) if strict else len(sums))), abs=1e-12
        )
        assert result.variance == pytest.approx(float(pvariance(changes)), abs=1e-12)
        assert result.undefined == len(sets) - len(sums)


@given(
    tables, codes, tables, codes, tables, codes, st.booleans(), st.sampled_from(["test", "train"])
)
def test_directed_is_its_definition(
    train: np.ndarray,
    train_groups: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    pred: np.ndarray,
    pred_groups: np.ndarray,
    to_task: bool,
    reference: str,
) -> None:
    names = sorted({*train_groups, *groups, *(() if to_task else pred_groups)} - {-1})
    before = known_rows(train, train_groups)
    if to_task:
        both = known_rows(np.hstack([labels, pred]), groups)
        split = [
            (frozenset(i for i in every if i < 3), frozenset(i - 3 for i in every if i >= 3), group)
            for every, group in both
        ]
        truth = [(true, group) for true, _, group in split]
        said = [(guess, group) for _, guess, group in split]
    else:
        both = known_rows(labels, groups, pred_groups)
        truth = [(true, group) for true, group, _ in both]
        said = [(true, guess) for true, _, guess in both]
    changes = {}
    for chosen in subsets(before, None) & subsets(truth, None):
        for group in names:
            if to_task:
                now = ratio(count(said, chosen, group), sum(g == group for _, g in truth))
                source = truth if reference == "test" else before
                was = ratio(count(source, chosen, group), sum(g == group for _, g in source))
            else:
                now = ratio(count(said, chosen, group), count(truth, chosen))
                source = truth if reference == "test" else before
                was = ratio(count(source, chosen, group), count(source, chosen))
            if now is not None and was is not None:
                together = count(before, chosen, group) * len(before)
                apart = count(before, chosen) * sum(g == group for _, g in before)
                changes[group, chosen] = (now - was, 1 if together > apart else -1)
    given = {"pred_labels": pred} if to_task else {"pred_groups": pred_groups}
    result = amplification(
        train,
        train_groups,
        labels=labels,
        groups=groups,
        reference=reference,
        replicates=5,
        **given,
    )
    assert result.n == len(truth)
    assert result.name == f"multi-attribute {'A->T' if to_task else 'T->A'}"
    if len(names) < 2 or not changes:
        assert np.isnan([result.value, result.variance]).all()
        return
    expected = sum(abs(change) for change, _ in changes.values()) / len(changes)
    assert result.value == pytest.approx(float(expected), abs=1e-12)
    variance = pvariance([change for change, _ in changes.values()])
    assert result.variance == pytest.approx(float(variance), abs=1e-12)
    assert result.pairs is not None
    for pair in result.pairs.itertuples():
        change, turned = changes.get((pair.group, pair.label), (None, 1))
        assert pair.value == pytest.approx(
            np.nan if change is None else float(change * turned), abs=1e-12, nan_ok=True
        )


def test_single_labels_are_those_of_the_single_measures() -> None:
    random = np.random.default_rng(0)
    labels, pred = (random.random((2, 300, 5)) < 0.3).astype(int)
    groups, pred_groups = random.integers(0, 3, (2, 300))
    mals = metrics.bias_amplification_mals(labels, groups, pred, pred_groups)
    single = amplification(labels, groups, pred, pred_groups, max_size=1)
    assert mals.pairs is not None
    assert single.pairs is not None
    assert (single.pairs["value"] == mals.pairs["value"]).all()
    assert float(single) == pytest.approx(mals.pairs["value"].abs().sum() / 5)
    for said in ({"pred_labels": pred}, {"pred_groups": pred_groups}):
        directed = metrics.directional_bias_amplification(labels, groups, **said)
        of_sets = amplification(labels, groups, labels=labels, groups=groups, max_size=1, **said)
        assert directed.pairs is not None
        assert of_sets.pairs is not None
        assert (of_sets.pairs["value"] == directed.pairs["value"]).all()
        assert float(of_sets) == pytest.approx(directed.pairs["value"].abs().mean())
        assert of_sets.pairs["label"].tolist() == [(label,) for label in directed.pairs["label"]]


def test_right_predictions_amplify_nothing() -> None:
    random = np.random.default_rng(1)
    labels = (random.random((200, 4)) < 0.4).astype(int)
    groups = random.integers(0, 2, 200)
    truth = {"labels": labels, "groups": groups}
    for said in ({"pred_labels": labels}, {"pred_groups": groups}, {}):
        predicted = said or {"pred_labels": labels, "pred_groups": groups}
        result = amplification(labels, groups, **predicted, **truth)
        assert float(result) == 0
        if said:
            assert (result.low, result.high, result.variance) == (0, 0, 0)


def test_what_amplifies_and_what_diminishes_do_not_cancel() -> None:
    groups = ["f"] * 10 + ["m"] * 10
    labels = np.array([[1, 0]] * 7 + [[0, 1]] * 3 + [[1, 0]] * 3 + [[0, 1]] * 7)
    said = labels.copy()
    said[:10, 0], said[10:, 0] = [1] * 9 + [0], [1] + [0] * 9  # more of one label as it leans
    said[:10, 1], said[10:, 1] = [1] * 5 + [0] * 5, [1] * 5 + [0] * 5  # less of the other
    single = metrics.directional_bias_amplification(labels, groups, pred_labels=said)
    assert float(single) == pytest.approx(0, abs=1e-12)
    both = amplification(labels, groups, pred_labels=said, labels=labels, groups=groups)
    assert float(both) == pytest.approx(0.2)


def test_without_truth_the_predictions_say_which_sets_there_are() -> None:
    train = [[1, 1, 0], [1, 0, 1]]
    result = amplification(train, ["a", "b"], [[1, 1, 0], [1, 1, 1]], ["a", "b"])
    assert result.pairs is not None
    assert set(result.pairs["label"]) == {(0,), (1,), (2,), (0, 1), (0, 2)}


def test_names_of_labels_are_in_the_sets() -> None:
    labels = pd.DataFrame([[1, 1], [1, 0]], columns=["tie", "cat"])
    result = amplification(labels, ["a", "b"], labels, ["b", "b"], replicates=0)
    assert result.pairs is not None
    assert result.pairs["label"].tolist() == [("tie",), ("cat",), ("tie", "cat")] * 2


def test_interval_is_about_the_value_and_two_models_are_compared() -> None:
    random = np.random.default_rng(2)
    labels = (random.random((400, 4)) < 0.4).astype(int)
    groups = random.integers(0, 2, 400)
    truth = {"labels": labels, "groups": groups}
    models = [np.where(random.random(labels.shape) < noise, 1, labels) for noise in (0.05, 0.3)]
    results = [amplification(labels, groups, pred_labels=said, **truth) for said in models]
    for result in results:
        assert result.low < result.value < result.high
        assert result.replicates.mean() == pytest.approx(result.value, rel=0.1)
    difference = metrics.compare(*results)
    assert difference.low > 0
    assert difference.pairs is not None
    assert len(difference.pairs) == len(results[0].pairs)  # type: ignore[arg-type]


def test_very_many_sets_have_no_intervals_each(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    labels = (random.random((60, 6)) < 0.5).astype(int)
    groups = random.integers(0, 2, 60)
    arguments = (labels, groups, labels[::-1], groups)
    whole = amplification(*arguments, replicates=100)
    monkeypatch.setattr(multi_attribute, "_AT_ONCE", 300)
    in_parts = amplification(*arguments, replicates=100)
    np.testing.assert_allclose(in_parts.replicates, whole.replicates, rtol=1e-12)
    monkeypatch.setattr(multi_attribute, "_KEPT", 2 * 101 * 21)
    with pytest.warns(FairvisionWarning, match="58 sets .* pass max_size=2, or"):
        without = amplification(*arguments, replicates=100)
    assert (without.value, without.low) == (whole.value, pytest.approx(whole.low))
    assert without.pairs is not None
    assert without.pairs["low"].isna().all()
    assert (without.pairs["value"] == whole.pairs["value"]).all()  # type: ignore[index]
    assert metrics.compare(without, whole).value == 0
    amplification(*arguments, replicates=100, max_size=2)
    monkeypatch.setattr(multi_attribute, "_CANDIDATES", 100)
    with pytest.raises(InputError, match=r"pass max_size=\d or less"):
        amplification(*arguments)
    amplification(*arguments, max_size=1)


@given(tables, tables, st.sampled_from([None, 1, 2]))
def test_sets_that_two_tables_share(a: np.ndarray, b: np.ndarray, max_size: int | None) -> None:
    _, read = read_labels(a=a, b=b)
    sources = [(labels, labels.valid) for labels in read.values()]
    found = common_sets(sources, 2, 3, max_size)
    held = [known_rows(given, np.zeros(9)) for given in (a, b)]
    expected = subsets(held[0], max_size) & subsets(held[1], max_size)
    assert set(found.members) == expected
    assert len(found.members) == len(expected)
    for table, has in zip((a, b), found.has):
        known = ~(table == -1).any(axis=1)
        for chosen, rows in zip(found.members, has.toarray()):
            assert (rows == ((table[:, chosen] == 1).all(axis=1) & known)).all()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "give pred_labels"),
        ({"pred_labels": [1, 0]}, "there are 2 predictions, but 1 rows of training"),
        ({"pred_labels": [1], "pred_groups": [1], "labels": [1]}, "give both labels and groups"),
        ({"pred_labels": [1], "pred_groups": [1], "max_size": 0}, "max_size"),
        ({"pred_labels": [1], "pred_groups": [1], "reference": "dev"}, "reference"),
    ],
)
def test_which_arrays_belong_together(wrong: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        amplification([1], [1], **wrong)
    with pytest.raises(InputError, match="give train_labels and train_groups"):
        amplification(pred_labels=[1], pred_groups=[1])


def test_one_table_is_training_and_test() -> None:
    labels, groups = [[1, 1], [1, 0], [0, 1], [1, 1]], ["a", "a", "b", "b"]
    said: Any = {"pred_labels": [[1, 0], [1, 0], [0, 1], [1, 1]], "replicates": 0}
    whole = amplification(labels, groups, labels=labels, groups=groups, **said)
    assert whole > 0
    assert amplification(labels, groups, **said) == whole
    assert amplification(labels=labels, groups=groups, **said) == whole


def test_published_definition_on_real_labels(shared: Path) -> None:
    """Sets of COCO objects and perceived gender, counted over dicts."""
    given = pd.read_csv(shared / "data/published/coco-labels.csv.gz")
    known = given.dropna(subset=["caption_gender", "objects"])
    names = sorted({name for row in known["objects"] for name in row.split(";")})
    place = {name: i for i, name in enumerate(names)}
    parts = {}
    for part, rows in known.groupby("part"):
        labels = np.zeros((len(rows), len(names)), np.int8)
        for row, objects in zip(labels, rows["objects"]):
            row[[place[name] for name in objects.split(";")]] = 1
        parts[part] = labels, rows["caption_gender"].to_numpy()
    (train, train_groups), (test, groups) = parts["train2014"], parts["val2014"]
    said = np.roll(test, 1, axis=0)
    counts: list[dict] = []
    for labels, of in ((train, train_groups), (test, groups), (said, groups)):
        counted: dict[tuple, dict] = {}
        for row, group in zip(labels, of):
            objects = np.flatnonzero(row).tolist()
            for size in (1, 2):
                for chosen in combinations(objects, size):
                    found = counted.setdefault(chosen, {"female": 0, "male": 0})
                    found[group] += 1
        counts.append(counted)
    before, true, now = counts
    sets = before.keys() & true.keys()
    total, defined = 0.0, 0
    for chosen in sets:
        if chosen in now:
            defined += 1
            for group in ("female", "male"):
                was = before[chosen][group] / sum(before[chosen].values())
                if was > 1 / 2:
                    total += abs(now[chosen][group] / sum(now[chosen].values()) - was)
    result = amplification(
        train, train_groups, said, groups, labels=test, groups=groups, max_size=2, replicates=0
    )
    assert (result.sets, result.undefined) == (len(sets), len(sets) - defined)
    assert result.value == pytest.approx(total / defined, abs=1e-12)
    size = {group: int((groups == group).sum()) for group in ("female", "male")}
    none = {"female": 0, "male": 0}
    expected = [
        abs(now.get(chosen, none)[group] - true[chosen][group]) / size[group]
        for chosen in sets
        for group in size
    ]
    directed = amplification(
        train,
        train_groups,
        pred_labels=said,
        labels=test,
        groups=groups,
        max_size=2,
        replicates=0,
    )
    assert directed.value == pytest.approx(np.mean(expected), abs=1e-12)
