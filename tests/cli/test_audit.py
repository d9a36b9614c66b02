from __future__ import annotations

import json

import pandas as pd
import pytest


@pytest.fixture
def table():
    """Return a table with two groups and a task, of 40 images."""
    female = [0.9, 0.2, 0.7, 0.4] * 10
    return pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(40)],
            "split": ["train", "test"] * 20,
            "gender": ["female", "male"] * 10 + ["male", "female"] * 10,
            "sport": ["ski", "surf"] * 20,
            "score/gender/female": female,
            "score/gender/male": [1 - f for f in female],
            "hidden/gender/female": 0.5,
            "hidden/gender/male": 0.5,
            "score/sport/ski": female,
            "score/sport/surf": [1 - f for f in female],
        }
    )


@pytest.fixture
def tables(table, tmp_path, monkeypatch):
    table.to_parquet(tmp_path / "A.parquet")
    table.to_parquet(tmp_path / "B.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


QUICK = ("--replicates", 20, "--quiet")


@pytest.mark.parametrize(
    "spelled",
    [
        ("--predictions", "A.parquet", "B.parquet", "-o", "AUDIT"),
        ("--predictions", "A.parquet", "--predictions", "B.parquet", "-o", "AUDIT"),
        ("-o", "AUDIT", "A.parquet", "B.parquet", "--predictions"),
    ],
)
def test_predictions_are_audited(run_cli, tables, spelled):
    result = run_cli("audit", *spelled, *QUICK)
    assert result.code == 0, result.err
    assert "report: AUDIT/report.html" in result.out
    metrics = pd.read_csv(tables / "AUDIT" / "metrics.csv")
    assert set(metrics["model"]) == {"A", "B", "B - A"}
    assert metrics["metric"].str.startswith("directional").any()
    overall = metrics[(metrics["metric"] == "accuracy") & metrics["group"].isna()]
    assert overall["value"].notna().all()


def test_a_csv_and_a_training_table_are_read(run_cli, tables, table):
    table.drop(columns="split").to_csv("C.csv", index=False)
    table[["id", "gender", "sport"]].to_csv("train.csv", index=False)
    result = run_cli("audit", "--predictions", "C.csv", "--train", "train.csv", "-o", "D", *QUICK)
    assert result.code == 0, result.err
    assert (tables / "D" / "train.parquet").is_file()


def test_json_says_where_everything_is(run_cli, tables):
    result = run_cli("audit", "--predictions", "A.parquet", "-o", "AUDIT", "--json", *QUICK)
    said = json.loads(result.out)
    assert set(said) == {"extremes", "findings", "metrics", "report", "verdict"}
    assert said["metrics"] == "AUDIT/metrics.csv"
    assert {"headline", "answers", "left_out", "warnings"} == set(said["verdict"])


def test_warnings_are_single_lines(run_cli, tables, table):
    table.loc[table.index[1:39], "gender"] = "male"
    table.to_parquet("A.parquet")
    result = run_cli("audit", "--predictions", "A.parquet", "-o", "AUDIT", *QUICK)
    assert result.code == 0
    assert "warning: gender: few pictures of female (1)" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Missing argument"),
        (("nowhere",), "nowhere is not a run folder"),
        (("--predictions", "nowhere.parquet"), "nowhere.parquet does not exist"),
        (("--predictions", "A.parquet", "--split", "val"), "has no rows of split 'val'"),
        (("--predictions", "A.parquet", "--attribute", "race"), "has no column 'race'"),
        (("--predictions", "A.parquet", "--train", "none.csv"), "none.csv does not exist"),
        (("--predictions", "A.parquet", "--name", "x/y"), "cannot be the name of a model"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(run_cli, tables, arguments, words):
    result = run_cli("audit", *arguments, "-o", "AUDIT", *QUICK)
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err
    if arguments:
        assert len(result.err.splitlines()) == 1
    assert sorted(p.name for p in tables.iterdir()) == ["A.parquet", "B.parquet"]


def test_other_names_and_logits(run_cli, tables, table):
    table = table[[name for name in table if not name.startswith("hidden/")]]
    logits = {name: 10 * table[name] for name in table if name.startswith("score/")}
    names = {"id": "image id", "gender": "sex", "score/gender/female": "p(female)=1"}
    table.assign(**logits).rename(columns=names).to_parquet("A.parquet")
    options = [part for name in names for part in ("--column", f"{name}={names[name]}")]
    call = ("audit", "--predictions", "A.parquet", "-o", "AUDIT", *QUICK, *options)
    refused = run_cli(*call)
    assert refused.code == 2
    assert "A.parquet row 1, column 'p(female)=1'" in refused.err
    assert "--logits" in refused.err
    done = run_cli(*call, "--logits")
    assert done.code == 0, done.err
    assert "score/gender/male" in pd.read_parquet(tables / "AUDIT" / "A" / "samples.parquet")


@pytest.mark.parametrize("column", ["id", "=id", "id="])
def test_columns_need_two_names(run_cli, tables, column):
    refused = run_cli("audit", "--predictions", "A.parquet", "-o", "D", "--column", column)
    assert refused.code == 2
    assert "--column needs two names: name here=name in the file" in refused.err


def test_a_missing_column_is_named(run_cli, tables, table):
    table.drop(columns="hidden/gender/male").to_parquet("A.parquet")
    result = run_cli("audit", "--predictions", "A.parquet", "-o", "AUDIT", *QUICK)
    assert result.code == 2
    assert "A.parquet" in result.err
    assert "hidden/gender/male" in result.err


def test_a_full_folder_needs_overwrite(run_cli, tables):
    call = ("audit", "--predictions", "A.parquet", "-o", "AUDIT", *QUICK)
    assert run_cli(*call).code == 0
    refused = run_cli(*call)
    assert refused.code == 2
    assert "--overwrite" in refused.err
    assert run_cli(*call, "--overwrite").code == 0


def test_names_are_escaped_in_the_report(run_cli, tables, table):
    table["gender"] = table["gender"].replace("male", "<script>alert(1)</script>")
    table.columns = [c.replace("/male", "/<script>alert(1)</script>") for c in table]
    table.to_parquet("A.parquet")
    assert run_cli("audit", "--predictions", "A.parquet", "-o", "AUDIT", *QUICK).code == 0
    page = (tables / "AUDIT" / "report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_trained_runs_are_audited(run_cli, tmp_path):
    data = tmp_path / "data"
    from fairvision import train
    from fairvision.datasets import scenes

    scenes(data, count=60, bias=0.9, groups=2, size=32, seed=0)
    for method in ("baseline", "equalizer"):
        train(data, output=tmp_path / method, method=method, size=32, epochs=1, device="cpu")
    result = run_cli(
        "audit",
        *(tmp_path / "baseline", tmp_path / "equalizer", "--device", "cpu"),
        *("-o", tmp_path / "audit", *QUICK),
    )
    assert result.code == 0, result.err
    metrics = pd.read_csv(tmp_path / "audit" / "metrics.csv")
    assert set(metrics["model"]) == {"baseline", "equalizer", "equalizer - baseline"}


def test_help_is_there(run_cli):
    result = run_cli("audit", "--help")
    assert result.code == 0
    assert "--predictions" in result.out
