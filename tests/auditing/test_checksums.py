"""The tables of an audit are read back as they were written, or not at all."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import fairvision
from fairvision.auditing.image_sheets import image_sheets
from fairvision.errors import InputError


@pytest.fixture
def audited(tmp_path):
    rows = 24
    score = [(i * 7 % rows + 0.5) / rows for i in range(rows)]
    table = pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(rows)],
            "gender": ["f", "m"] * (rows // 2),
            "score/gender/f": score,
            "score/gender/m": [1 - one for one in score],
        }
    )
    table.to_parquet(tmp_path / "a.parquet")
    return fairvision.audit(
        predictions=tmp_path / "a.parquet", output=tmp_path / "audit", replicates=5
    )


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
def test_a_flipped_bit_of_a_samples_table_is_told(audited, tmp_path):
    table = audited.folder / "a" / "samples.parquet"
    again = {"predictions": table, "output": tmp_path / "again", "replicates": 5}
    assert fairvision.audit(**again).metrics["value"].equals(audited.metrics["value"])
    content = bytearray(table.read_bytes())
    content[len(content) // 3] ^= 1
    table.write_bytes(content)
    with pytest.raises(InputError, match=r"samples\.parquet is damaged or was changed"):
        fairvision.audit(**again, overwrite=True)


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
def test_every_table_has_a_checksum(audited):
    about = json.loads((audited.folder / "audit.json").read_text())
    assert set(about["sha256"]) == {"metrics.csv", "a/samples.parquet"}


@pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
def test_a_changed_table_is_told_by_what_reads_an_audit(two_runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fairvision.audit(two_runs, output="audit", replicates=5)
    figures = tmp_path / "audit" / "metrics.csv"
    figures.write_text(figures.read_text().replace("0.5", "0.6"))
    with pytest.raises(InputError, match=r"metrics\.csv is damaged or was changed"):
        image_sheets("audit", two_runs, output="pictures")
