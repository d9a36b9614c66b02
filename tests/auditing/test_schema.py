"""What audits of every kind write and print for programs is as the published schema says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft202012Validator

import fairvision
from fairvision.captioning import captions
from fairvision.results.findings import QUESTIONS, SERVED, schema

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
HOW = {"replicates": 50}


def check(kind: str, value: Any) -> None:
    whole = schema()
    Draft202012Validator({**whole, "anyOf": [{"$ref": f"#/$defs/{kind}"}]}).validate(value)
    Draft202012Validator(whole).validate(value)


def written(folder: Path, name: str = "audit.json") -> dict[str, Any]:
    described = json.loads((folder / name).read_text())
    check("audit", described)
    return described


def predictions(heads: dict[str, list[str]], truth: dict[str, list[str]], seed: int):
    """Return a table of random answers to heads, beside truths that are always the same."""
    rng = np.random.default_rng(0)
    rows: dict[str, Any] = {"id": np.arange(160), "split": np.repeat(["train", "test"], 80)}
    rows |= {name: rng.choice(labels, 160) for name, labels in truth.items()}
    rng = np.random.default_rng(seed + 1)
    for name, labels in heads.items():
        scores = rng.dirichlet(np.ones(len(labels)), 160)
        rows |= {f"score/{name}/{label}": scores[:, i] for i, label in enumerate(labels)}
    return pd.DataFrame(rows)


GENDER, AGE = ["female", "male", "other"], ["young", "old"]
SPORT = ["ski", "surf"]


@pytest.mark.parametrize(
    ("heads", "attributes"),
    [
        ({"gender": GENDER}, ["gender"]),
        ({"gender": GENDER, "age": AGE, "sport": SPORT}, ["gender", "age"]),
        ({"sport": SPORT}, ["gender"]),
    ],
    ids=["three groups", "two attributes and a task", "a task only"],
)
def test_audits_of_models(tmp_path, heads, attributes):
    truth = {"gender": GENDER, "age": AGE, "sport": SPORT}
    truth = {name: truth[name] for name in [*attributes, *heads]}
    files = []
    for seed, name in enumerate(("one", "other")):
        table = predictions(heads, truth, seed)
        table.loc[table["split"] == "test"].to_parquet(tmp_path / f"{name}.parquet")
        files.append(tmp_path / f"{name}.parquet")
    table.loc[table["split"] == "train", ["id", "split", *truth]].to_parquet(tmp_path / "t.parquet")
    done = fairvision.audit(
        predictions=files,
        attributes=attributes,
        train=tmp_path / "t.parquet",
        output=tmp_path / "audit",
        **HOW,
    )
    described = written(done.folder)
    check("printed", done.as_json())
    assert described["findings"] == done.as_json()["findings"]
    ids = [finding["id"] for finding in described["findings"]]
    assert len(set(ids)) == len(ids)
    assert list(dict.fromkeys(f["question"] for f in described["findings"])) == list(QUESTIONS)
    served = [f for f in described["findings"] if f["question"] == SERVED and f["model"] == "one"]
    assert {f["attribute"] for f in served} == set(attributes)
    tasks = {"" if name == "gender" else name for name in heads} - {"age"}
    assert {f["task"] for f in served} == tasks
    accuracy = done.metrics[(done.metrics.metric == "accuracy") & (done.metrics.model == "one")]
    for finding in served:
        groups = accuracy[
            (accuracy.attribute == finding["attribute"])
            & (accuracy.task == finding["task"])
            & (accuracy.group != "")
        ].set_index("group")["value"]
        ends = described["extremes"][finding["id"]]
        assert finding["group"] == ends["worst"]["group"] != ends["best"]["group"]
        assert ends["worst"]["value"] == groups[finding["group"]] == groups.min()
        assert ends["best"]["value"] == groups[ends["best"]["group"]] == groups.max()
        assert finding["value"] == pytest.approx(ends["best"]["value"] - ends["worst"]["value"])


def test_audits_of_captions(tmp_path, run_cli):
    groups = ["woman", "man"] * 30
    pd.DataFrame({"image_id": range(60), "gender": groups}).to_csv(
        tmp_path / "labels.csv", index=False
    )
    said = [{"image_id": i, "caption": f"a {groups[i % 7]} skis"} for i in range(60)]
    (tmp_path / "mine.json").write_text(json.dumps(said))
    done = captions(
        tmp_path / "mine.json", labels=tmp_path / "labels.csv", output=tmp_path / "a", **HOW
    )
    described = written(done.folder, "captions.json")
    assert described["findings"][0]["metric"] == "error_gap"
    printed = run_cli(
        *("captions", tmp_path / "mine.json", "--labels", tmp_path / "labels.csv"),
        *("--replicates", 50, "-o", tmp_path / "b", "--json"),
    )
    assert printed.code == 0, printed.err
    check("printed", json.loads(printed.out))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_captions_beside_answers_are_no_task(tmp_path, kind):
    table = predictions({"gender": GENDER}, {"gender": GENDER}, 0)
    table["captions"] = [["A man.", f"Picture {i}."] for i in range(len(table))]
    path = tmp_path / f"t.{kind}"
    getattr(table, f"to_{kind}")(path)
    fairvision.audit(predictions=[path], output=tmp_path / "audit", **HOW)
    figures = pd.read_csv(tmp_path / "audit" / "metrics.csv")
    assert figures["task"].isna().all()
