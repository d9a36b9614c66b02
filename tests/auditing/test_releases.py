"""Two audits of one model: what got worse, on the images that both have."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

import fairvision
from fairvision.auditing.releases import compare
from fairvision.captioning import captions
from fairvision.errors import InputError
from fairvision.metrics.causes import REASONS
from fairvision.report.releases import render
from fairvision.results.changes import unpaired
from fairvision.results.figures import Figure, Figures, Key

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
    (model,) = made.models
    assert (model.old, model.new, model.shared, model.why_unpaired) == (100, 120, 80, "")
    (accuracy,) = [
        change for change in made.changes if change.key[:4] == ("accuracy", "group", "", "b")
    ]
    # of b, numbers 10 to 49 are shared: none was wrong before, 10 to 19 are now
    assert (accuracy.old.value, accuracy.new.value) == (1.0, 0.75)
    assert accuracy.difference.value == pytest.approx(-0.25)
    assert accuracy.change == "worse"
    assert accuracy.difference.n == 40
    right = np.repeat([0.0, -1.0], [30, 10])
    draws = np.random.default_rng(0).choice(right, (2000, 40)).mean(axis=1)
    ends = np.quantile(draws, [0.025, 0.975])
    assert [accuracy.difference.low, accuracy.difference.high] == pytest.approx(ends, abs=0.04)
    assert not [change for change in made.better if change.key.metric == "accuracy"]
    assert (made.folder / "mine" / "report.html").is_file()
    described = json.loads((made.folder / "compare.json").read_text())
    assert described["models"][0]["shared"] == 80
    assert described["models"][0]["paired"] is True
    listed = [change for change in described["changes"] if change["change"] == "worse"]
    assert len(listed) == len(made.worse)
    page = (made.folder / "compare.md").read_text()
    assert "the same 80 pictures in both audits" in page
    assert "40 only in the new one, 20 only in the old one" in page
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
    (model,) = compare(old, new, output=tmp_path / "c", **HOW).models
    assert (model.name, model.old_name, model.shared) == ("other", "one", 60)


def test_other_images_are_compared_without_pairs(tmp_path):
    old = audited(tmp_path, "old", 4, range(100))
    new = audited(tmp_path, "new", 75, range(80, 240))
    made = compare(old, new, output=tmp_path / "c", **HOW)
    (model,) = made.models
    assert (model.old, model.new, model.shared) == (100, 160, 20)
    assert "Not paired, for 20 pictures are in both audits: 100 pictures of" in model.basis
    (of_b,) = [
        change for change in made.changes if change.key[:4] == ("accuracy", "group", "", "b")
    ]
    # of b, 46 of 50 were right; now numbers 40 to 74 of 40 to 119 are wrong
    assert of_b.difference.value == pytest.approx(45 / 80 - 46 / 50)
    assert (of_b.change, of_b.difference.n) == ("worse", 50)
    assert not (made.folder / "mine").exists()
    assert [(s.metric, s.old, s.new) for s in made.statuses] == [
        ("accuracy_gap", "none shown", "concern")
    ]
    described = json.loads((made.folder / "compare.json").read_text())
    assert described["models"][0]["paired"] is False
    listed = {change["n_old"] for change in described["changes"] if change["group"] == "b"}
    assert listed == {50}


def test_the_interval_of_other_images_is_newcombes():
    """Newcombe (1998), example a of method 10: 56 of 70 less 48 of 80."""
    key = Key("accuracy", "group")
    figures = []
    for right, n in ((48, 80), (56, 70)):
        ends = binomtest(right, n).proportion_ci(method="wilson")
        figures.append(Figures(["m"], {("m", key): Figure(right / n, *ends, n)}, ["group"], []))
    (change,) = unpaired("m", (figures[0], figures[1]), ("m", "m"))
    difference = change.difference
    assert difference.value == pytest.approx(0.2)
    assert (difference.low, difference.high) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert change.change == "better"


def test_models_and_groups_that_come_and_go(tmp_path):
    old = audited(tmp_path, "old", 2, range(60))
    table = pd.read_csv(tmp_path / "old.csv")
    table.loc[table["group"] == "b", "group"] = "c"
    table = table.rename(columns={"score/group/b": "score/group/c"})
    table["id"] = "new-" + table["id"]
    table.to_csv(tmp_path / "new.csv", index=False)
    done = fairvision.audit(
        predictions=[tmp_path / "new.csv", tmp_path / "new.csv"],
        names=["mine", "further"],
        attributes=["group"],
        output=tmp_path / "new",
        **HOW,
    )
    made = compare(old, done.folder, output=tmp_path / "c", **HOW)
    assert made.added == ("group group: c", "model further")
    assert made.removed == ("group group: b",)
    page = (made.folder / "compare.md").read_text()
    assert "Only in the new audit: group group: c, model further." in page


def test_rules_on_differences_stop_a_release(tmp_path, run_cli):
    old = audited(tmp_path, "old", 2, range(100))
    new = audited(tmp_path, "new", 30, range(100))
    arguments = ("compare", old, new, "--replicates", 50, "--overwrite", "-o", tmp_path / "c")
    worse = run_cli(*arguments, "--fail-on", "accuracy.high < 0 [group=*]")
    assert worse.code == 1
    assert "BROKEN: accuracy.high < 0 [group=*]" in worse.out
    assert "worse" in worse.out
    kept = run_cli(*arguments, "--fail-on", "accuracy.low > 0", "--json")
    assert kept.code == 0, kept.err
    assert [rule["passed"] for rule in json.loads(kept.out)["rules"]] == [True]
    assert run_cli(*arguments, "--fail-on", "accuracy < -1").code == 2


def test_the_page_needs_nothing_and_escapes_names(tmp_path):
    name = "<script>alert(1)</script>"
    old = audited(tmp_path, "old", 2, range(100), model="m")
    new = audited(tmp_path, "new", 30, range(100), model="m")
    made = compare(old, new, output=tmp_path / "c", **HOW)
    text = made.page.read_text()
    assert "“Are all groups served alike?” is now a concern." in text
    assert 'href="m/report.html"' in text
    assert (made.folder / "m" / "report.html").is_file()
    assert "http" not in re.sub(r"http-equiv", "", text)
    change = replace(made.changes[0], model=name, key=Key("error", name, group=name))
    hostile = replace(
        made,
        models=(replace(made.models[0], name=name),),
        changes=(change,),
        statuses=(replace(made.statuses[0], model=name, task=name),),
        added=(name,),
    )
    page = render(hostile, name, name, report="report.html")
    assert "<script" not in page


def test_audits_of_captions_are_compared_by_their_figures(tmp_path):
    groups = ["woman", "man"] * 30
    rows = {"image_id": range(60), "gender": groups}
    pd.DataFrame(rows).to_csv(tmp_path / "labels.csv", index=False)
    folders = []
    for name, wrong in (("old", 2), ("new", 25)):
        words = [groups[i + 1] if i % 2 == 0 and i < 2 * wrong else groups[i] for i in range(60)]
        said = [{"image_id": i, "caption": f"a {word} skis"} for i, word in enumerate(words)]
        (tmp_path / f"{name}.json").write_text(json.dumps(said))
        done = captions(
            tmp_path / f"{name}.json",
            labels=tmp_path / "labels.csv",
            names=["mine"],
            output=tmp_path / name,
            **HOW,
        )
        folders.append(done.folder)
    made = compare(*folders, output=tmp_path / "c", **HOW)
    assert "captions are not kept for each picture" in made.models[0].basis
    assert [c.change for c in made.changes if c.key == ("error", "gender", "", "woman", "")] == [
        "worse"
    ]
    with pytest.raises(InputError, match="two of a kind"):
        compare(folders[0], audited(tmp_path, "m", 2, range(60)), output=tmp_path / "d")


def test_what_cannot_be_compared_is_one_line(tmp_path):
    old = audited(tmp_path, "old", 2, range(60))
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
    assert str(Path("mine") / "samples.parquet") in str(raised.value)
    assert not (tmp_path / "c").exists()
    renamed = audited(tmp_path, "renamed", 2, range(60), model="a")
    settings = json.loads((renamed / "audit.json").read_text())
    (renamed / "audit.json").write_text(json.dumps({**settings, "models": ["a", "b"]}))
    with pytest.raises(InputError, match="no model is in both audits"):
        compare(old, renamed, output=tmp_path / "c", **HOW)
    assert not (tmp_path / "c").exists()


def test_of_shares_that_add_up_only_one_has_a_better_way():
    figures = []
    for value in (0.5, 0.2):
        table = {
            ("m", Key("reasons", "gender", label=label)): Figure(
                value, value - 0.05, value + 0.05, 90
            )
            for label in REASONS
        }
        figures.append(Figures(["m"], table, ["gender"], []))
    words = [change.change for change in unpaired("m", (figures[0], figures[1]), ("m", "m"))]
    assert words == ["worse", *["differs"] * (len(REASONS) - 1)]


def test_a_group_that_is_new_is_compared_without_pairs(tmp_path):
    old = audited(tmp_path, "old", 2, range(60))
    table = pd.read_csv(tmp_path / "old.csv").assign(**{"score/group/c": 0.0})
    table.loc[:4, "group"] = "c"
    table.to_csv(tmp_path / "new.csv", index=False)
    done = fairvision.audit(
        predictions=tmp_path / "new.csv",
        names=["mine"],
        attributes=["group"],
        output=tmp_path / "new",
        **HOW,
    )
    made = compare(old, done.folder, output=tmp_path / "c", **HOW)
    assert made.models[0].why_unpaired == "their groups or labels differ"
    assert made.added == ("group group: c",)
