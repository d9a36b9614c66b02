"""Audits that resample people instead of pictures."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairvision import audit, datasets
from fairvision.auditing import material
from fairvision.errors import InputError

PEOPLE, EACH = 60, 5
N = PEOPLE * EACH

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")


def table(seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(0)
    person = np.arange(N) // EACH
    groups = np.array(["female", "male"])[person % 2]
    likely = random.beta(1.6, 0.4, PEOPLE)[person]
    right = np.random.default_rng(seed).random(N) < likely
    other = np.where(groups == "female", "male", "female")
    return pd.DataFrame(
        {
            "id": [f"i{i}" for i in range(N)],
            "person": [f"p{p}" for p in person],
            "gender": groups,
            "predicted/gender": np.where(right, groups, other),
        }
    )


@pytest.fixture
def tables(tmp_path):
    paths = [tmp_path / f"{name}.csv" for name in "ab"]
    for seed, path in enumerate(paths):
        table(seed).to_csv(path, index=False)
    return paths


def width(done, metric, model="a", **keys):
    figure = done.figure(metric, model=model, attribute="gender", **keys)
    return figure.high - figure.low


def test_people_are_resampled(tables, tmp_path):
    plain = audit(predictions=tables, output=tmp_path / "plain", attributes=["gender"])
    done = audit(predictions=tables, output=tmp_path / "done", cluster="person")
    for metric in ("accuracy", "accuracy_gap"):
        assert width(done, metric) > 1.2 * width(plain, metric)
        value = done.figure(metric, attribute="gender").value
        assert value == plain.figure(metric, attribute="gender").value
    described = json.loads((tmp_path / "done" / "audit.json").read_text())
    assert described["settings"]["clusters"] == {
        "column": "person",
        "clusters": PEOPLE,
        "pictures": N,
        "largest": EACH,
    }
    assert "over 60 clusters, of 'person'" in done.verdict.warnings[0]
    page = done.report.read_text()
    assert page.count("the 60 clusters of pictures with the same") == 2
    assert "intervals over the pictures" not in page
    assert "intervals over the pictures" in plain.report.read_text()


def test_the_folder_can_be_audited_again(tables, tmp_path):
    done = audit(predictions=tables, output=tmp_path / "done", cluster="person")
    written = [tmp_path / "done" / name / "samples.parquet" for name in "ab"]
    again = audit(predictions=written, output=tmp_path / "again", cluster="person")
    pd.testing.assert_frame_equal(again.metrics, done.metrics)


def test_the_column_may_be_in_one_table_alone_and_in_any_order(tables, tmp_path):
    done = audit(predictions=tables, output=tmp_path / "done", cluster="person")
    b = table(1).drop(columns="person").sample(frac=1, random_state=0)
    b.to_csv(tables[1], index=False)
    again = audit(predictions=tables, output=tmp_path / "again", cluster="person")
    pd.testing.assert_frame_equal(again.metrics, done.metrics)


def test_a_picture_of_nobody_known_is_by_itself(tables, tmp_path):
    rows = table()
    rows.loc[rows["person"] == "p3", "person"] = None
    rows.to_csv(tables[0], index=False)
    done = audit(predictions=tables[0], output=tmp_path / "done", cluster="person")
    assert any("'person' is unknown for 5 of 300" in line for line in done.verdict.warnings)
    described = json.loads((tmp_path / "done" / "audit.json").read_text())
    assert described["settings"]["clusters"]["clusters"] == PEOPLE - 1 + EACH


def test_few_people_are_told(tables, tmp_path):
    rows = table().assign(person=lambda of: [f"p{i % 8}" for i in range(len(of))])
    rows.to_csv(tables[0], index=False)
    done = audit(predictions=tables[0], output=tmp_path / "done", cluster="person")
    assert any("only 8 clusters" in line for line in done.verdict.warnings)
    rows = table().iloc[: N - 2 * EACH]
    few = rows["gender"].where(rows["person"].isin(["p0", "p2"]) | (rows["gender"] == "male"), "x")
    rows.assign(gender=few).to_csv(tables[0], index=False)
    done = audit(
        predictions=tables[0], output=tmp_path / "b", cluster="person", attributes=["gender"]
    )
    assert any("pictures of female (2) are of fewer" in line for line in done.verdict.warnings)


def test_it_may_be_an_attribute_too(tables, tmp_path):
    done = audit(
        predictions=tables[0], output=tmp_path / "a", cluster="gender", attributes=["gender"]
    )
    assert any("only 2 clusters" in line for line in done.verdict.warnings)
    assert np.isnan(done.figure("accuracy", attribute="gender", group="female").low)


@pytest.fixture
def folder(tmp_path):
    """A dataset folder without images, whose table has a column of people."""
    data = tmp_path / "data"
    data.mkdir()
    rows = table().rename(columns={"person": "who"})[["id", "who", "gender"]]
    rows = rows.assign(split="test", image=rows["id"] + ".png", mask=None)
    rows.to_csv(data / "samples.csv", index=False)
    for name in rows["image"]:
        Image.new("L", (1, 1)).save(data / name)
    settings = {"name": "few", "attributes": {"gender": ["female", "male"]}, "tasks": {}}
    (data / "dataset.json").write_text(json.dumps(settings))
    return data


def test_the_dataset_may_say_it(tables, tmp_path, folder):
    done = audit(predictions=tables, output=tmp_path / "done", cluster="person")
    for path in tables:
        pd.read_csv(path).drop(columns=["person", "gender"]).to_csv(path, index=False)
    again = audit(predictions=tables, output=tmp_path / "again", data=folder, cluster="who")
    for metric in ("accuracy", "accuracy_gap"):
        assert width(again, metric) == pytest.approx(width(done, metric))


def test_of_the_rows_of_a_folder(folder):
    whole = datasets.load(folder)
    found = material.clusters.of_dataset("who", whole.rows(np.array([7, 3, 100])))
    assert list(found.of_image) == ["p1", "p0", "p20"]


def test_a_column_that_is_not_there_is_one_line(tables, tmp_path, folder):
    with pytest.raises(InputError, match=r"no column 'persn', .* did you mean person"):
        audit(predictions=tables, output=tmp_path / "x", cluster="persn")
    with pytest.raises(InputError, match=r"data: no column 'whom'"):
        material.clusters.of_dataset("whom", datasets.load(folder))
    assert not (tmp_path / "x").exists()


def test_tables_that_are_counted_have_no_clusters(tables, tmp_path, monkeypatch):
    monkeypatch.setattr(material.streaming, "too_large", lambda *_: True)
    with pytest.raises(InputError, match="--cluster needs each of them"):
        audit(predictions=tables, output=tmp_path / "x", cluster="person")


def test_in_the_shell(tables, tmp_path, run_cli):
    arguments = ["audit", "--predictions", tables[0], "--cluster", "person", "--quiet"]
    result = run_cli(*arguments, "-o", tmp_path / "done")
    assert result.code == 0, result.err
    assert "over 60 clusters" in result.err
    result = run_cli(*arguments[:-2], "persn", "-o", tmp_path / "other")
    assert result.code == 2
    assert "did you mean person" in result.err
