"""Figures of scores by group, and accuracies beside all pictures or a chosen group, in audits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.metrics import log_loss, roc_auc_score

import fairvision
from fairvision import metrics
from fairvision.cli import fairvision as command
from fairvision.errors import InputError
from fairvision.metrics._engine import blocks


def draw(seed: int = 0, n: int = 240) -> pd.DataFrame:
    truth, scores = np.random.default_rng(9), np.random.default_rng(seed)
    group = truth.choice(["f", "m", "x"], n)
    pet = truth.choice(["cat", "dog"], n)
    dog = np.clip(0.5 * (pet == "dog") + 0.3 * (group == "m") * scores.random(n), 0, 1)
    dog = 0.2 + 0.6 * np.clip(dog + scores.normal(0, 0.3, n), 0, 1)
    at_home = scores.dirichlet([1, 1, 1], n)
    columns = {"id": np.arange(n).astype(str), "split": "test", "gender": group, "pet": pet}
    columns |= {"score/pet/cat": 1 - dog, "score/pet/dog": dog}
    columns |= {f"score/gender/{name}": at_home[:, i] for i, name in enumerate(["f", "m", "x"])}
    return pd.DataFrame(columns)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("scores")
    for name, seed in (("a", 1), ("b", 2)):
        draw(seed).to_parquet(folder / f"{name}.parquet")
    done = fairvision.audit(
        predictions=[folder / "a.parquet", folder / "b.parquet"],
        attributes=["gender"],
        output=folder / "audit",
        reference="m",
        replicates=100,
    )
    settings = json.loads((folder / "audit" / "audit.json").read_text())["settings"]
    assert settings["reference"] == "m"
    assert (
        "reference group is <q><bdi>m</bdi></q>" in (folder / "audit" / "report.html").read_text()
    )
    return done.metrics


def rows(table: pd.DataFrame, metric: str, model: str = "a", **keys: str) -> pd.DataFrame:
    keep = (table["metric"] == metric) & (table["model"] == model)
    for name, value in keys.items():
        keep &= table[name] == value
    return table[keep]


def test_areas_are_those_of_scikit_learn(audited: pd.DataFrame) -> None:
    table = draw(1)
    is_dog, dog = table["pet"] == "dog", table["score/pet/dog"]
    whole = rows(audited, "roc_auc", attribute="", task="pet")
    assert whole["value"].item() == pytest.approx(roc_auc_score(is_dog, dog))
    of_groups = rows(audited, "roc_auc", attribute="gender").set_index("group")
    expected = {
        group: roc_auc_score(is_dog[table["gender"] == group], dog[table["gender"] == group])
        for group in "fmx"
    }
    for group, value in expected.items():
        row = of_groups.loc[group]
        assert row["value"] == pytest.approx(value)
        assert row["n"] == (table["gender"] == group).sum()
        assert row["low"] <= row["value"] <= row["high"]
    gap = rows(audited, "roc_auc_gap", attribute="gender")["value"].item()
    assert gap == pytest.approx(max(expected.values()) - min(expected.values()))
    assert rows(audited, "roc_auc", attribute="gender", task="").empty
    between = rows(audited, "abroca", attribute="gender", task="pet")
    result = metrics.abroca(is_dog.astype(int), dog, table["gender"], replicates=100)
    columns = ["value", "low", "high", "n"]
    assert between[columns].to_numpy().ravel() == pytest.approx(
        [getattr(result, of) for of in columns]
    )
    change = rows(audited, "abroca", "b - a")
    assert change["low"].item() <= change["value"].item() <= change["high"].item()


def test_log_loss_and_the_largest_calibration_error(audited: pd.DataFrame) -> None:
    table = draw(1)
    scores = table[["score/pet/cat", "score/pet/dog"]].to_numpy()
    whole = rows(audited, "log_loss", attribute="", task="pet")["value"].item()
    assert whole == pytest.approx(log_loss(table["pet"], scores))
    of_gender = rows(audited, "log_loss", attribute="gender", task="", group="f")
    expected = -np.log(table.loc[table["gender"] == "f", "score/gender/f"]).mean()
    assert of_gender["value"].item() == pytest.approx(expected)
    largest = metrics.calibration_error(
        (table["pet"] == "dog") == (scores[:, 1] > 0.5), scores.max(axis=1), norm="max"
    )
    found = rows(audited, "calibration_error_max", attribute="", task="pet")["value"].item()
    assert found == pytest.approx(float(largest))


def test_rates_of_predictions_are_by_group_and_label(audited: pd.DataFrame) -> None:
    table = draw(1)
    answer = np.where(table["score/pet/dog"] > 0.5, "dog", "cat")
    of_f = table["gender"] == "f"
    said_dog = of_f & (answer == "dog")
    found = rows(audited, "false_discovery_rate", group="f", label="dog")["value"].item()
    assert found == pytest.approx((table["pet"][said_dog] == "cat").mean())
    other = rows(audited, "false_omission_rate", group="f", label="dog")["value"].item()
    left_out = of_f & (answer != "dog")
    assert other == pytest.approx((table["pet"][left_out] == "dog").mean())
    value = rows(audited, "negative_predictive_value", group="f", label="dog")["value"].item()
    assert value == pytest.approx(1 - other)


def test_groups_beside_all_pictures_and_beside_the_reference(audited: pd.DataFrame) -> None:
    table = draw(1)
    right = (table["score/pet/dog"] > 0.5) == (table["pet"] == "dog")
    of_group = right.groupby(table["gender"]).mean()
    overall = rows(audited, "accuracy_to_overall", task="pet").set_index("group")["value"]
    apart = of_group - right.mean()
    assert overall[""] == pytest.approx(apart.abs().max())
    assert overall[["f", "m", "x"]].tolist() == pytest.approx(apart.tolist())
    beside = rows(audited, "accuracy_to_reference", task="pet").set_index("group")["value"]
    expected = (of_group - of_group["m"]).drop("m")
    assert beside[["f", "x"]].tolist() == pytest.approx(expected.tolist())
    assert beside[""] == pytest.approx(expected[expected.abs().idxmax()])
    assert len(rows(audited, "accuracy_to_reference", task="")) == 3
    change = rows(audited, "accuracy_to_reference", model="b - a", task="pet")
    assert set(change["group"]) == {"", "f", "x"}


def test_large_tables_have_the_same_figures(
    tmp_path: Path, audited: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "MANY", 100)
    for name, seed in (("a", 1), ("b", 2)):
        draw(seed).to_parquet(tmp_path / f"{name}.parquet")
    done = fairvision.audit(
        predictions=[tmp_path / "a.parquet", tmp_path / "b.parquet"],
        attributes=["gender"],
        output=tmp_path / "audit",
        reference="m",
        replicates=100,
    )
    keys = ["model", "metric", "attribute", "task", "group", "label"]
    both = audited.merge(done.metrics, on=keys, suffixes=("", "_many"), how="outer")
    assert len(both) == len(audited) == len(done.metrics)
    np.testing.assert_allclose(both["value_many"], both["value"], atol=1e-12)
    assert both["n_many"].tolist() == both["n"].tolist()
    of_scores = both["metric"].isin(["roc_auc", "roc_auc_gap", "abroca", "log_loss"])
    assert both.loc[of_scores, "model"].nunique() == 3
    wide = [both[f"high{of}"] - both[f"low{of}"] for of in ("_many", "")]
    ratio = (wide[0] / wide[1])[of_scores]
    assert 0.9 < ratio.median() < 1.1
    assert not any("ROC" in line for line in done.verdict.left_out)


def test_a_reference_that_is_no_group_is_a_line(tmp_path: Path) -> None:
    draw().to_parquet(tmp_path / "a.parquet")
    given = {"predictions": [tmp_path / "a.parquet"], "attributes": ["gender"]}
    with pytest.raises(InputError, match="reference 'woman' is no group"):
        fairvision.audit(**given, output=tmp_path / "audit", reference="woman")
    assert not (tmp_path / "audit").exists()
    arguments = ["audit", "--predictions", str(tmp_path / "a.parquet"), "--attribute", "gender"]
    result = CliRunner().invoke(
        command, [*arguments, "-o", str(tmp_path / "audit"), "--reference", "F", "--quiet"]
    )
    assert isinstance(result.exception, InputError)
    assert str(result.exception).endswith("of these pictures: did you mean f?")
