"""Two audits of one model: what got worse, on the images that both have."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fairvision
from fairvision.auditing.releases import compare
from fairvision.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
HOW = {"replicates": 100}


def audited(folder: Path, name: str, wrong: int, ids: range, model: str = "mine") -> Path:
    """Audit answers about a and b, of which the first so many of b are wrong; return the folder."""
    number = np.array(ids)
    is_b = number % 2 == 1
    is_wrong = is_b & (number // 2 < wrong)
    score = np.where(is_b ^ is_wrong, 0.1, 0.9)
    rows = {"id": [f"p{i}" for i in ids], "group": np.where(is_b, "b", "a")}
    table = pd.DataFrame({**rows, "score/group/a": score, "score/group/b": 1 - score})
    table.sample(frac=1, random_state=wrong).to_csv(folder / f"{name}.csv", index=False)
    done = fairvision.audit(
        predictions=folder / f"{name}.csv",
        names=[model],
        attributes=["group"],
        output=folder / name,
        **HOW,
    )
    return done.folder


def test_what_got_worse_on_the_images_that_both_have(tmp_path):
    old = audited(tmp_path, "old", 2, range(0, 100))
    new = audited(tmp_path, "new", 20, range(20, 140))
    made = compare(old, new, output=tmp_path / "compared", **HOW)
    assert made.images == {"mine": 80}
    (accuracy,) = [
        change for change in made.changes if change.key[:4] == ("accuracy", "group", "", "b")
    ]
    # of b, numbers 10 to 49 are shared: none was wrong before, 10 to 19 are now
    assert (accuracy.old, accuracy.new) == (1.0, 0.75)
    assert accuracy.difference == pytest.approx(-0.25)
    assert accuracy.change == "worse"
    assert accuracy.n == 40
    assert not [change for change in made.better if change.key.metric == "accuracy"]
    assert (made.folder / "mine" / "report.html").is_file()
    described = json.loads((made.folder / "compare.json").read_text())
    assert described["images"] == {"mine": 80}
    listed = [change for change in described["changes"] if change["change"] == "worse"]
    assert len(listed) == len(made.worse)
    page = (made.folder / "compare.md").read_text()
    assert "80 pictures are in both audits" in page
    assert "accuracy" not in page.partition("**Better**")[2].lower()


def test_the_same_audit_shows_nothing(tmp_path, run_cli):
    old = audited(tmp_path, "old", 5, range(100))
    done = run_cli("compare", str(old), str(old), "-o", str(tmp_path / "c"), "--replicates", "50")
    assert done.code == 0, done.err
    assert "worse: nothing was shown" in done.out
    made = json.loads(
        run_cli(
            *("compare", str(old), str(old), "-o", str(tmp_path / "c"), "--overwrite", "--json")
        ).out
    )
    assert {change["change"] for change in made["changes"]} <= {"not shown"}


def test_models_of_one_audit_each_are_compared_whatever_their_names(tmp_path):
    old = audited(tmp_path, "old", 2, range(60), model="one")
    new = audited(tmp_path, "new", 9, range(60), model="other")
    assert compare(old, new, output=tmp_path / "c", **HOW).images == {"other": 60}


def test_what_cannot_be_compared_is_one_line(tmp_path):
    old = audited(tmp_path, "old", 2, range(60))
    apart = audited(tmp_path, "apart", 2, range(100, 160))
    with pytest.raises(InputError, match="no picture is in both audits"):
        compare(old, apart, output=tmp_path / "c", **HOW)
    with pytest.raises(InputError, match="is not a finished audit"):
        compare(old, tmp_path, output=tmp_path / "c", **HOW)
    table = pd.read_csv(tmp_path / "old.csv")
    table["group"] = table["group"].map({"a": "b", "b": "a"})
    table.to_csv(tmp_path / "turned.csv", index=False)
    fairvision.audit(
        predictions=tmp_path / "turned.csv",
        names=["mine"],
        attributes=["group"],
        output=tmp_path / "turned",
        **HOW,
    )
    with pytest.raises(InputError) as raised:
        compare(old, tmp_path / "turned", output=tmp_path / "c", **HOW)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "c").exists()
    (old / "mine" / "samples.parquet").unlink()
    with pytest.raises(InputError, match="no samples table of 'mine'"):
        compare(old, apart, output=tmp_path / "c", **HOW)
