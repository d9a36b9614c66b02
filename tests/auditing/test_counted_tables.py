"""Tables of counts: an audit of what a GROUP BY gives has the figures of the rows."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from fairvision import audit, metrics
from fairvision.auditing import streaming
from fairvision.auditing.counted_score_figures import FIGURES
from fairvision.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
NAMES = {"predicted/gender": "predicted_gender", "predicted/sport": "predicted_sport"}


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(0)
    gender, sport = random.integers(2, size=3000), random.integers(3, size=3000)
    table = pd.DataFrame({"id": [f"p{i}" for i in range(3000)]})
    table["split"] = np.where(random.random(3000) < 0.3, "train", "test")
    for head, codes, names in (("gender", gender, "fm"), ("sport", sport, "abc")):
        answers = np.where(random.random(3000) < 0.8, codes, random.integers(2, size=3000))
        table[head] = np.array([*names])[codes]
        table[f"predicted_{head}"] = np.array([*names])[answers]
    table.loc[::50, "gender"] = None
    return table


@pytest.fixture
def held(rows, tmp_path):
    rows.rename(columns={v: k for k, v in NAMES.items()}).to_parquet(tmp_path / "rows.parquet")
    return run(tmp_path / "rows.parquet", tmp_path / "held", names=["mine"])


def run(source, output, **options):
    return audit(predictions=source, output=output, attributes=["gender"], replicates=30, **options)


def in_duckdb(rows):
    return duckdb.sql(
        "SELECT split, gender, sport, predicted_gender, predicted_sport, count(*) AS counts "
        "FROM rows GROUP BY ALL"
    )


def in_polars(rows):
    columns = [name for name in rows if name != "id"]
    return pl.from_pandas(rows).group_by(columns).agg(pl.len().alias("n"))


def in_pandas(rows):
    columns = [name for name in rows if name != "id"]
    return rows.groupby(columns, dropna=False).size().rename("counts").reset_index()


def as_csv(rows, folder):
    in_pandas(rows).to_csv(folder / "counts.csv", index=False)
    return folder / "counts.csv"


@pytest.mark.parametrize("grouped", [in_duckdb, in_polars, in_pandas, as_csv])
def test_the_figures_are_those_of_the_rows(grouped, rows, held, tmp_path):
    source = grouped(rows, tmp_path) if grouped is as_csv else grouped(rows)
    done = run(source, tmp_path / "counted", columns=NAMES, names=["mine"])
    shared = done.metrics.merge(held.metrics, how="left", on=[*held.metrics][:6])
    assert len(shared) == len(done.metrics) > 20
    for column in ("value", "low", "high", "n"):
        np.testing.assert_array_equal(shared[f"{column}_x"], shared[f"{column}_y"])
    assert "directional A->T" in set(done.metrics["metric"])
    assert (done.folder / "counts.parquet").is_file()


def test_counts_of_an_audit_give_its_figures_again(answers, tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "LIMIT", 20)
    for seed, name in enumerate("AB"):
        table = answers(400, seed=seed).drop(columns="objects")
        kept = [name for name in table if not name.startswith(("hidden", "person", "score/obj"))]
        table[kept].to_parquet(tmp_path / f"{name}.parquet")
    first = audit(
        predictions=[tmp_path / "A.parquet", tmp_path / "B.parquet"],
        output=tmp_path / "first",
        attributes=["group"],
        replicates=30,
    )
    monkeypatch.setattr(streaming, "LIMIT", 10**6)
    again = audit(
        predictions=first.folder / "counts.parquet",
        output=tmp_path / "again",
        replicates=30,
    )
    assert {"A", "B", "B - A"} == set(again.metrics["model"])
    counted = first.metrics[~first.metrics["metric"].isin(FIGURES)].reset_index(drop=True)
    pd.testing.assert_frame_equal(again.metrics, counted, check_exact=True)


def test_training_may_be_counted_too(rows, tmp_path):
    test, training = (rows[rows["split"] == split] for split in ("test", "train"))
    counts = in_polars(training.drop(columns=["split", *NAMES.values()]))
    plain = {v: k for k, v in NAMES.items()}
    held = run(
        pl.from_pandas(test.rename(columns=plain)),
        tmp_path / "held",
        train=pl.from_pandas(training.drop(columns=[*plain])),
    )
    done = run(in_polars(test), tmp_path / "counted", columns=NAMES, train=counts)
    shared = done.metrics.merge(held.metrics, how="left", on=[*held.metrics][:6])
    assert "bias_amplification_mals" in set(shared["metric"])
    np.testing.assert_array_equal(shared["value_x"], shared["value_y"])


def test_one_group_by_serves_metrics_as_well(rows):
    counts = metrics.Counts()
    grouped = in_duckdb(rows).project("gender AS truth, predicted_gender AS predicted, counts")
    counts.update(grouped)
    figure = metrics.accuracy(**counts, replicates=20)
    held = metrics.accuracy(rows["gender"], rows["predicted_gender"], replicates=20)
    assert (figure.value, figure.low, figure.n) == (held.value, held.low, held.n)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"gender": ["f", "m"], "predicted/gender": ["f", "f"], "n": [1, -1]}, "row 2, column 'n'"),
        ({"gender": ["f", "m"], "predicted/gender": ["f", "f"], "n": [1.0, 0.5]}, "no number of"),
        ({"gender": ["f", "m"], "n": [1, 2], "counts": [1, 2]}, "has 'counts' and 'n'"),
        ({"gender": ["f", "m"], "n": [1, 2]}, "^mine has no probabilities"),
        ({"predicted/gender": ["f", "m"], "n": [1, 2]}, "^mine has no truth"),
    ],
)
def test_wrong_counts_are_named(table, reason, tmp_path):
    with pytest.raises(InputError, match=reason):
        run({"mine": pl.DataFrame(table)}, tmp_path / "audit")
    assert not (tmp_path / "audit").exists()


def test_counts_of_two_models_apart_are_refused(rows, tmp_path):
    with pytest.raises(InputError, match="give one table"):
        run([in_polars(rows)] * 2, tmp_path / "audit", columns=NAMES)
    with pytest.raises(InputError, match="need ids"):
        run(in_polars(rows), tmp_path / "audit", columns=NAMES, cluster="gender")
