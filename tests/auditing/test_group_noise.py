"""Audits whose groups are predicted, or annotated with errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairvision import audit
from fairvision.auditing import streaming
from fairvision.auditing.group_noise import read_confusion
from fairvision.errors import InputError

N, VALIDATED = 2000, 500
NAMES = np.array(["female", "male"])
NOISE = "true,female,male\nfemale,90,10\nmale,12,88\n"

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")


def table(seed: int = 0, accuracies: tuple[float, float] = (0.95, 0.8)) -> pd.DataFrame:
    random = np.random.default_rng(0)
    true = random.integers(0, 2, N)
    seen = true ^ (random.random(N) < 0.12)
    animal = np.array(["cat", "dog"])[random.integers(0, 2, N)]
    other = np.where(animal == "cat", "dog", "cat")
    right = np.random.default_rng(seed).random(N) < np.array(accuracies)[true]
    return pd.DataFrame(
        {
            "id": [f"i{i}" for i in range(N)],
            "gender": NAMES[seen.astype(int)],
            "animal": animal,
            "predicted/animal": np.where(right, animal, other),
            "validated/gender": np.where(np.arange(N) < VALIDATED, NAMES[true], ""),
        }
    )


def written(folder: Path, name: str = "a", **how: Any) -> Path:
    table(**how).to_csv(folder / f"{name}.csv", index=False)
    return folder / f"{name}.csv"


def run(tables: Any, folder: Path, **more: Any) -> Any:
    more = {"attributes": ["gender"], "replicates": 300} | more
    return audit(predictions=tables, output=folder / "done", overwrite=True, **more)


def test_validated_groups_correct_what_is_told_of_groups(tmp_path: Path) -> None:
    done = run([written(tmp_path), written(tmp_path, "b", seed=1)], tmp_path)
    about = {"attribute": "gender", "task": "animal"}
    for model in "ab":
        gap, observed, least, most = (
            done.figure(metric, model=model, **about)
            for metric in (
                *("accuracy_gap", "observed_accuracy_gap"),
                *("accuracy_gap_least", "accuracy_gap_most"),
            )
        )
        assert gap.low < 0.15 < gap.high
        assert observed.value < gap.value < most.value
        assert least.value < gap.value
        assert gap.high - gap.low > observed.high - observed.low
    change = done.figure("accuracy", model="b - a", group="female", **about)
    assert change.low < change.value < change.high
    assert abs(change.value) < 0.05
    first = done.verdict.warnings[0]
    assert "gender is observed with errors" in first
    assert "column validated/gender" in first
    assert any("between true groups; whatever" in line for line in done.verdict.warnings)
    settings = json.loads((done.folder / "audit.json").read_text())["settings"]
    expected = {"source": "column validated/gender", "validated": VALIDATED}
    assert settings["group_noise"] == {"gender": expected}
    assert "is observed with errors" in (done.folder / "report.html").read_text()


def test_what_an_audit_wrote_gives_the_same_figures(tmp_path: Path) -> None:
    done = run(written(tmp_path), tmp_path)
    samples = done.folder / "a" / "samples.parquet"
    again = audit(predictions=samples, output=tmp_path / "again", replicates=300)
    pd.testing.assert_frame_equal(
        done.metrics.drop(columns="model"), again.metrics.drop(columns="model")
    )


@pytest.mark.parametrize("named", [False, True])
def test_a_confusion_does_as_well(tmp_path: Path, named: bool) -> None:
    plain = table().drop(columns="validated/gender")
    plain.to_csv(tmp_path / "a.csv", index=False)
    noise = tmp_path / "noise.csv"
    noise.write_text(NOISE)
    done = run(tmp_path / "a.csv", tmp_path, group_noise={"gender": noise} if named else noise)
    gap = done.figure("accuracy_gap", attribute="gender", task="animal")
    assert gap.low < 0.15 < gap.high
    assert "10 of 100 of female" in done.verdict.warnings[0]


def test_a_gap_that_errors_may_have_made_is_not_called_shown(tmp_path: Path) -> None:
    plain = table(accuracies=(0.95, 0.85)).drop(columns="validated/gender")
    plain.to_csv(tmp_path / "a.csv", index=False)
    keys = {"female": [4, 3], "male": [3, 4]}
    counts = pd.DataFrame(keys, index=["female", "male"])
    seen = run(tmp_path / "a.csv", tmp_path)
    done = run(tmp_path / "a.csv", tmp_path, group_noise=counts)
    statuses = [
        next(of.status for of in each.findings if of.id == "a/accuracy_gap/gender/animal")
        for each in (seen, done)
    ]
    assert statuses == ["concern", "none shown"]
    assert any("not shown once the errors are carried" in line for line in done.verdict.warnings)


def test_accuracy_on_the_attribute_itself_is_of_true_groups(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    true = random.integers(0, 2, N)
    seen, answered = (true ^ (random.random(N) < often) for often in (0.15, 0.1))
    names = {"gender": NAMES[seen], "predicted/gender": NAMES[answered]}
    pd.DataFrame({"id": range(N), **names}).to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "noise.csv").write_text("true,female,male\nfemale,8500,1500\nmale,1500,8500\n")
    done = run(tmp_path / "a.csv", tmp_path, group_noise=tmp_path / "noise.csv")
    for group in NAMES:
        figure = done.figure("accuracy", attribute="gender", group=str(group))
        assert figure.low < 0.9 < figure.high
        assert done.figure("observed_accuracy", attribute="gender", group=str(group)).value < 0.85
        error = done.figure("error", attribute="gender", group=str(group))
        assert error.value == pytest.approx(1 - figure.value)


def test_errors_that_go_with_the_answers_are_told(tmp_path: Path) -> None:
    changed = table()
    wrong = changed["predicted/animal"] != changed["animal"]
    opposite = {"female": "male", "male": "female"}
    true = changed["validated/gender"].replace("", np.nan)
    mixed = wrong & (np.arange(N) % 3 == 0)
    changed["gender"] = (
        changed["gender"].where(true.isna(), true).mask(mixed & true.notna(), true.map(opposite))
    )
    changed.to_csv(tmp_path / "a.csv", index=False)
    done = run(tmp_path / "a.csv", tmp_path)
    assert any("errors do go with right and wrong answers" in w for w in done.verdict.warnings)


def test_the_table_of_a_dataset_may_have_them(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    rows = table()[["id", "gender", "animal", "validated/gender"]]
    rows = rows.assign(split="test", image="one.png", mask=None)
    rows.to_csv(folder / "samples.csv", index=False)
    Image.new("L", (1, 1)).save(folder / "one.png")
    tasks = {"animal": {"labels": ["cat", "dog"], "many": False}}
    settings = {"name": "few", "attributes": {"gender": [*NAMES]}, "tasks": tasks}
    (folder / "dataset.json").write_text(json.dumps(settings))
    table()[["id", "predicted/animal"]].to_csv(tmp_path / "a.csv", index=False)
    done = run(tmp_path / "a.csv", tmp_path, data=folder, attributes=[])
    gap = done.figure("accuracy_gap", attribute="gender", task="animal")
    assert gap == run(written(tmp_path), tmp_path).figure(
        "accuracy_gap", attribute="gender", task="animal"
    )


def test_confusions_are_read_in_both_forms(tmp_path: Path) -> None:
    wide, long = tmp_path / "wide.csv", tmp_path / "long.csv"
    wide.write_text(NOISE)
    long.write_text(
        "true,observed,count\nfemale,female,90\nfemale,male,10\nmale,female,12\nmale,male,88\n"
    )
    np.testing.assert_array_equal(read_confusion(wide), read_confusion(long))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("true,female\nfemale,3\n", "the columns true, observed and count"),
        ("true,female,male\nfemale,0.9,0.1\nmale,0,1\n", "row 1, column 'female'"),
        ("true,female,man\nfemale,9,1\nman,0,1\n", "'man' is no group of gender"),
        ("true,female,male\nfemale,9,1\nmale,0,0\n", "no image that is truly 'male'"),
    ],
)
def test_what_is_wrong_with_a_confusion_is_said(tmp_path: Path, text: str, message: str) -> None:
    table().drop(columns="validated/gender").to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "noise.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        run(tmp_path / "a.csv", tmp_path, group_noise=tmp_path / "noise.csv")
    assert not (tmp_path / "done").exists()


def test_what_is_wrong_with_validated_groups_is_said(tmp_path: Path) -> None:
    strange = table().replace({"validated/gender": {"male": "mal"}})
    strange.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(InputError, match="'mal' is no group of gender: did you mean male"):
        run(tmp_path / "a.csv", tmp_path)
    (tmp_path / "noise.csv").write_text(NOISE)
    with pytest.raises(InputError, match="give one of them"):
        run(written(tmp_path), tmp_path, group_noise=tmp_path / "noise.csv")
    with pytest.raises(InputError, match="'gendr' is no attribute of the data"):
        run(written(tmp_path), tmp_path, group_noise={"gendr": tmp_path / "noise.csv"})


def test_in_the_shell(tmp_path: Path, run_cli: Any) -> None:
    table().drop(columns="validated/gender").to_csv(tmp_path / "a.csv", index=False)
    noise = tmp_path / "noise.csv"
    noise.write_text(NOISE)
    arguments = ["audit", "--predictions", tmp_path / "a.csv", "--attribute", "gender", "--quiet"]
    arguments += ["-o", tmp_path / "done", "--replicates", 100]
    result = run_cli(*arguments, "--group-noise", f"gender={noise}")
    assert result.code == 0, result.err
    assert "gender is observed with errors" in result.err
    result = run_cli(*arguments, *["--group-noise", noise] * 2, "--overwrite")
    assert result.code == 2
    assert "twice" in result.err


def test_columns_of_tables_that_are_counted_are_not_read_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "LIMIT", 20)
    table().to_parquet(tmp_path / "a.parquet")
    done = run(tmp_path / "a.parquet", tmp_path)
    lines = [line for line in done.verdict.warnings if "validated/gender was not read" in line]
    assert [line.split(":")[0] for line in lines] == ["a.parquet"]
    assert "--group-noise" in lines[0]
    assert "observed_accuracy_gap" not in set(done.metrics["metric"])
