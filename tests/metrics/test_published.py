"""Published figures and real tables, against definitions written out over dicts."""

from __future__ import annotations

import csv
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairvision import metrics


@pytest.mark.parametrize(
    ("table", "column", "published", "violations"),
    [
        ("coco_dev.csv", "gender_ratio_before_RBA", 0.031742516637, 40),
        ("coco_dev.csv", "gender_ratio_after_RBA", 0.0216953903291, 24),
        ("imsitu_dev.csv", "gender_ratio_before_RBA", None, None),
        ("imsitu_dev.csv", "gender_ratio_after_RBA", None, None),
    ],
)
def test_tables_of_men_also_like_shopping(
    shared: Path, table: str, column: str, published: float | None, violations: int | None
) -> None:
    """Both tables of Zhao et al. (2017); of the second the sum is done here."""
    with open(shared / "data/published/mals" / table, newline="") as file:
        rows = [(float(row["training_ratio"]), float(row[column])) for row in csv.DictReader(file)]
    added = [said - was if was > 0.5 else was - said if was < 0.5 else 0 for was, said in rows]
    off = sum(abs(said - was) > 0.05 for was, said in rows)
    result = metrics.bias_amplification_mals_from_ratios(*zip(*rows))
    assert float(result) == pytest.approx(sum(added) / len(rows), abs=1e-12)
    assert (result.violations, result.n) == (off, len(rows))
    if published is not None:
        assert float(result) == pytest.approx(published, abs=1e-12)
        assert result.violations == violations


def test_example_that_the_authors_of_the_directed_measure_give() -> None:
    """Three images of one group and five of another (huggingface.co/spaces/angelina-wang)."""
    labels, predicted = [0, 1, 1, 0, 0, 0, 0, 1], [1, 1, 1, 0, 0, 0, 0, 0]
    columns = np.array(labels)[:, None], np.array(predicted)[:, None]
    result = metrics.directional_bias_amplification(
        columns[0], ["a"] * 3 + ["b"] * 5, pred_labels=columns[1]
    )
    assert float(result) == pytest.approx(0.2667, abs=5e-5)
    assert result.pairs is not None
    assert result.pairs["value"].tolist() == pytest.approx([1 / 3, 1 / 5])


@pytest.fixture(scope="module")
def coco(shared: Path) -> pd.DataFrame:
    """All 55,640 images, with the objects of another image as predictions."""
    table = pd.read_csv(shared / "data/published/coco-labels.csv.gz")
    random = np.random.default_rng(0)
    other = random.permutation(len(table))
    swapped = random.random(len(table)) < 0.3
    table["said"] = table["objects"].where(~swapped, table["objects"].to_numpy()[other])
    table["guess"] = table["caption_gender"].where(~swapped, "male")
    return table


def indicators(objects: pd.Series, names: list[str]) -> np.ndarray:
    """0 and 1, and −1 where the objects of the image are not known."""
    held = objects.str.get_dummies(";").reindex(columns=names, fill_value=0).to_numpy(np.int8)
    return np.where(objects.isna().to_numpy()[:, None], -1, held)


def known(table: pd.DataFrame, *columns: str) -> list[tuple]:
    """The rows in which all columns are known, objects as lists."""
    rows = table[[*columns]].dropna().itertuples(index=False, name=None)
    lists = [name in ("objects", "said") for name in columns]
    return [tuple(v.split(";") if many else v for v, many in zip(row, lists)) for row in rows]


def test_mals_of_all_coco_images(coco: pd.DataFrame) -> None:
    train = coco[coco["part"] == "train2014"]
    test = coco[coco["part"] == "val2014"]
    names = sorted({name for row in coco["objects"].dropna() for name in row.split(";")})
    counts = []
    for table, objects, group in ((train, "objects", "caption_gender"), (test, "said", "guess")):
        rows = known(table, objects, group)
        counts.append(Counter((name, of) for held, of in rows for name in held))
    before, after = counts
    total, off, defined = Fraction(0), 0, 0
    for name in names:
        was, now = (c[name, "female"] + c[name, "male"] for c in counts)
        if not was or not now:
            continue
        defined += 1
        change = Fraction(after[name, "female"], now) - Fraction(before[name, "female"], was)
        leans = 2 * before[name, "female"] - was
        total += change if leans > 0 else -change if leans < 0 else 0
        off += abs(change) > Fraction(5, 100)
    result = metrics.bias_amplification_mals(
        indicators(train["objects"], names),
        train["caption_gender"],
        indicators(test["said"], names),
        test["guess"],
        replicates=0,
    )
    assert float(result) == pytest.approx(float(total / defined), abs=1e-14)
    assert (result.violations, result.undefined) == (off, len(names) - defined)
    assert result.n == len(known(test, "said", "guess"))


@pytest.mark.parametrize("direction", ["A->T", "T->A"])
@pytest.mark.parametrize("trained", [True, False])
def test_directional_of_all_coco_images(coco: pd.DataFrame, direction: str, trained: bool) -> None:
    to_task = direction == "A->T"
    train = coco[coco["part"] == "train2014"]
    test = coco[coco["part"] == "val2014"]
    names = sorted({name for row in coco["objects"].dropna() for name in row.split(";")})
    groups = ("female", "male")
    rows = known(test, "objects", "caption_gender", "said" if to_task else "guess")
    reference = known(train, "objects", "caption_gender") if trained else [r[:2] for r in rows]
    pair = Counter((name, of) for held, of in reference for name in held)
    of_group = Counter(of for _, of in reference)
    true = Counter((name, of) for held, of, _ in rows for name in held)
    if to_task:
        said = Counter((name, of) for _, of, guess in rows for name in guess)
    else:
        said = Counter((name, guess) for held, _, guess in rows for name in held)
    size = Counter(of for _, of, _ in rows)
    values = []
    for name in names:
        in_training, with_label = (sum(c[name, of] for of in groups) for c in (pair, true))
        for of in groups:
            lean = pair[name, of] * len(reference) - in_training * of_group[of]
            whole = size[of] if to_task else with_label
            if whole:
                change = Fraction(said[name, of] - true[name, of], whole)
                values.append(change * int(np.sign(lean)))
    given = {"pred_labels": indicators(test["said"], names)} if to_task else {}
    given |= {} if to_task else {"pred_groups": test["guess"]}
    if trained:
        given["train_labels"] = indicators(train["objects"], names)
        given["train_groups"] = train["caption_gender"]
    result = metrics.directional_bias_amplification(
        indicators(test["objects"], names), test["caption_gender"], **given, replicates=0
    )
    assert float(result) == pytest.approx(float(sum(values) / len(values)), abs=1e-14)
    assert (result.n, result.name) == (len(rows), f"directional {direction}")


def test_all_coco_images_in_batches(coco: pd.DataFrame) -> None:
    """Counted in parts, the figures are the same to the last digit."""
    names = sorted({name for row in coco["objects"].dropna() for name in row.split(";")})
    columns = {
        "labels": indicators(coco["objects"], names),
        "groups": coco["caption_gender"].to_numpy(dtype=object),
        "pred_labels": indicators(coco["said"], names),
    }
    counts = metrics.Counts()
    for start in range(0, len(coco), 10_000):
        counts.update(**{what: values[start : start + 10_000] for what, values in columns.items()})
    whole = metrics.directional_bias_amplification(**columns, replicates=0)
    batched = metrics.directional_bias_amplification(**counts, replicates=0)
    assert (float(batched), batched.n) == (float(whole), whole.n)
