"""Sweeps: what is trained, kept, resumed and refused; means, spreads and what stands out."""

from __future__ import annotations

import json
import math
import re
import shutil
import statistics
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

import fairvision
from fairvision import datasets, runs
from fairvision.datasets import scenes
from fairvision.errors import InputError
from fairvision.methods import METHODS
from fairvision.methods.equalizer import Equalizer
from fairvision.report.leaderboard import render
from fairvision.report.scatter import looks
from fairvision.results import leaderboard as board
from fairvision.results.figures import read
from fairvision.results.folder import SweepSettings
from fairvision.sweeping import verdict
from fairvision.sweeping.plan import make_plan

QUICK = {"size": 16, "epochs": 1, "batch_size": 8, "device": "cpu", "replicates": 5}
BOTH = ["baseline", "equalizer"]
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes") / "data"
    scenes(folder, count=40, bias=0.8, groups=3, size=16, test_fraction=0.3)
    return folder


@pytest.fixture(scope="module")
def without_masks(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bare") / "data"
    shutil.copytree(data, folder)
    whole = datasets.load(folder)
    datasets.save(replace(whole, samples=whole.samples.assign(mask=None)), folder)
    return folder


@pytest.fixture(scope="module")
def done(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep") / "out"
    return fairvision.sweep(data, output=folder, methods=BOTH, seeds=[0, 1], **QUICK)


@pytest.fixture
def again(done, tmp_path):
    """Return a copy of the sweep that may be changed."""
    shutil.copytree(done.folder, tmp_path / "out")
    return tmp_path / "out"


def trained(monkeypatch) -> list[str]:
    """Return a list to which the names of runs are added as they are trained."""
    from fairvision.sweeping import folder

    names, train = [], folder.train

    def watched(*args, **kwargs):
        names.append(kwargs["output"].name)
        return train(*args, **kwargs)

    monkeypatch.setattr(folder, "train", watched)
    return names


def test_a_sweep_leaves_runs_audits_and_a_leaderboard(done):
    made = {str(path.relative_to(done.folder)) for path in done.folder.glob("*/*")}
    assert made == {
        *(f"runs/{method}-{seed}" for method in BOTH for seed in (0, 1)),
        *("audits/seed-0", "audits/seed-1"),
    }
    table = pd.read_csv(done.folder / "leaderboard.csv")
    assert list(table["method"]) == BOTH
    assert (table["accuracy/shirt seeds"] == 2).all()
    assert "audits/seed-1/report.html" in done.page.read_text("utf-8")
    assert runs.load(done.folder / "runs" / "equalizer-1").config["seed"] == 1


KEYS = ["model", "metric", "attribute", "task", "group", "label"]


def test_the_leaderboard_is_that_of_the_audits(done):
    tables = [
        pd.read_csv(path, keep_default_na=False, na_values={"value": [""]}).set_index(KEYS)["value"]
        for path in sorted(done.folder.glob("audits/*/metrics.csv"))
    ]
    leaderboard = done.table.set_index("method")
    right = "right and holds"
    for name, key in {
        "accuracy/shirt": ("accuracy", "shirt", "", "", ""),
        "accuracy/context": ("accuracy", "", "context", "", ""),
        "worst_group_accuracy/shirt": ("worst_group_accuracy", "shirt", "", "", ""),
        "directional_T->A/shirt/context": ("directional T->A", "shirt", "context", "", ""),
        "bias_amplification_mals/shirt/context": (
            *("bias_amplification_mals", "shirt", "context", "", ""),
        ),
        "pointing_game/shirt": ("pointing_game", "shirt", "", "", ""),
        "reasons/shirt": ("reasons", "shirt", "", "", right),
        "hidden_accuracy/shirt": ("hidden_accuracy", "shirt", "", "", ""),
    }.items():
        for method in BOTH:
            values = [float(table[(method, *key)]) for table in tables]
            defined = [value for value in values if not math.isnan(value)]
            assert leaderboard[f"{name} seeds"][method] == len(defined)
            if defined:
                mean = leaderboard[f"{name} mean"][method]
                assert mean == pytest.approx(statistics.mean(defined))
            if len(defined) == 2:
                sd = leaderboard[f"{name} sd"][method]
                assert sd == pytest.approx(statistics.stdev(defined))


def test_the_figures_of_the_runs_give_the_leaderboard(done):
    figures = pd.read_csv(done.folder / "figures.csv")
    own = figures.query("metric == 'accuracy' and attribute == 'shirt' and task != task")
    means = own.groupby("method", sort=False)["value"].mean()
    assert list(means) == pytest.approx(list(done.table["accuracy/shirt mean"]))


def test_finished_runs_and_audits_are_kept(data, again, monkeypatch):
    names = trained(monkeypatch)
    stamps = {p: p.stat().st_mtime_ns for p in again.glob("audits/*/audit.json")}
    before = (again / "leaderboard.html").read_text("utf-8")
    fairvision.sweep(data, output=again, methods=BOTH, seeds=[0, 1], **QUICK, workers=1)
    assert names == []
    assert {p: p.stat().st_mtime_ns for p in again.glob("audits/*/audit.json")} == stamps
    after = (again / "leaderboard.html").read_text("utf-8")
    assert after.replace("workers <bdi>1</bdi>, ", "") == before


def test_a_damaged_audit_is_made_again_and_a_damaged_sweep_is_told(data, again):
    audit = again / "audits" / "seed-0"
    table, text = (audit / "metrics.csv").read_bytes(), (audit / "audit.json").read_text("utf-8")
    for name, content in {
        "metrics.csv": table[: len(table) // 2],
        "audit.json": text.replace('"warnings": [', '"warnings": [1, ') + " ",
    }.items():
        (audit / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        fairvision.sweep(data, output=again, methods=BOTH, seeds=[0, 1], **QUICK)
        assert (audit / "metrics.csv").read_bytes() == table
    (again / "sweep.json").write_text('{"data": {"fingerprint": "a"}, "options": [1]}')
    with pytest.raises(InputError, match=r"sweep.json is damaged: options must be an object"):
        fairvision.sweep(data, output=again, methods=BOTH, seeds=[0, 1], **QUICK)


def test_a_method_and_a_seed_are_added(data, again, monkeypatch):
    names = trained(monkeypatch)
    methods = [*BOTH, "jtt"]
    more = fairvision.sweep(data, output=again, methods=methods, seeds=[0, 1, 2], **QUICK)
    assert names == ["jtt-0", "jtt-1", "baseline-2", "equalizer-2", "jtt-2"]
    assert list(more.table["accuracy/shirt seeds"]) == [3, 3, 3]


def test_an_interrupted_run_is_resumed_to_the_same_weights(data, done, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:

        def stopped(*args, **kwargs):
            raise KeyboardInterrupt

        patch.setattr(Equalizer, "terms", stopped)
        with pytest.raises(KeyboardInterrupt):
            fairvision.sweep(data, output=tmp_path / "o", methods=BOTH, seeds=[0, 1], **QUICK)
    assert not (tmp_path / "o" / "leaderboard.html").exists()
    names = trained(monkeypatch)
    fairvision.sweep(data, output=tmp_path / "o", methods=BOTH, seeds=[0, 1], **QUICK)
    assert names == ["equalizer-0", "baseline-1", "equalizer-1"]
    one, other = (
        load_file(p / "runs/equalizer-0" / runs.BEST) for p in (done.folder, tmp_path / "o")
    )
    assert all(one[name].equal(other[name]) for name in one)


def test_what_was_started_otherwise_is_refused_before_anything_is_trained(
    data, again, monkeypatch, without_masks
):
    names = trained(monkeypatch)
    for options, message in (
        ({"epochs": 2}, "started with other options (epochs was 1, now 2)"),
        ({"beta": 3}, "other options (beta was None, now 3)"),
    ):
        with pytest.raises(InputError, match=re.escape(message)):
            fairvision.sweep(data, output=again, methods=BOTH, seeds=[5], **{**QUICK, **options})
    with pytest.raises(InputError, match="is not, or no longer, what"):
        fairvision.sweep(without_masks, output=again, methods=["baseline"], **QUICK)
    assert names == []
    fairvision.sweep(
        data,
        output=again,
        methods=["baseline"],
        seeds=[0],
        **{**QUICK, "epochs": 2},
        overwrite=True,
    )
    assert [p.name for p in (again / "runs").iterdir()] == ["baseline-0"]


def test_methods_that_refuse_the_data_are_told_before_anything_is_trained(without_masks, tmp_path):
    with pytest.raises(InputError) as told:
        fairvision.sweep(
            without_masks,
            output=tmp_path / "out",
            methods=["baseline", "equalizer", "attribution_penalty"],
            **QUICK,
        )
    message = str(told.value)
    assert "nothing was trained, because 2 of 3 methods cannot learn from this data" in message
    assert "equalizer: the equalizer needs masks" in message
    assert not (tmp_path / "out").exists()


def test_what_a_method_says_at_its_start_is_told_too(data, tmp_path):
    methods = ["adversarial", "domain_independent"]
    with pytest.raises(InputError, match=r"2 of 2 methods .* adversarial: .*domain_independent: "):
        fairvision.sweep(
            data, output=tmp_path / "out", methods=methods, attribute=["shirt"], **QUICK
        )
    assert not (tmp_path / "out").exists()


def test_data_without_masks_gives_no_evidence_and_says_why(without_masks, tmp_path):
    done = fairvision.sweep(
        without_masks, output=tmp_path / "out", methods=["baseline"], seeds=[0], **QUICK
    )
    assert done.table["pointing_game/shirt mean"].isna().all()
    assert done.table["pointing_game/shirt seeds"].item() == 0
    assert any(text.startswith("Evidence on the person: needs") for text in done.verdict.left_out)
    assert verdict.ONE_SEED in done.verdict.warnings
    assert done.table["accuracy/shirt sd"].isna().all()


def test_a_run_that_diverges_is_left_out_and_told(data, tmp_path, monkeypatch):
    real = Equalizer.terms

    def diverged(self, network, batch):
        result = real(self, network, batch)
        result.losses = {name: loss * float("nan") for name, loss in result.losses.items()}
        return result

    monkeypatch.setattr(Equalizer, "terms", diverged)
    with pytest.warns(UserWarning, match="equalizer-0 is left out: "):
        done = fairvision.sweep(data, output=tmp_path / "o", methods=BOTH, seeds=[0], **QUICK)
    assert list(done.table["accuracy/shirt seeds"]) == [1, 0]
    assert "not measured" in done.page.read_text("utf-8")
    with pytest.raises(InputError, match="no run could be trained; equalizer-0 is left out"):
        fairvision.sweep(data, output=tmp_path / "p", methods=["equalizer"], seeds=[0], **QUICK)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"methods": []}, "at least one method"),
        ({"methods": ["baseline", "baseline"]}, "baseline is there twice in --methods"),
        ({"methods": ["magic"]}, "there is no method 'magic'"),
        ({"seeds": []}, "at least one seed"),
        ({"seeds": [1, 1]}, "seed 1 is there twice"),
        ({"seed": 1}, "decides 'seed' itself"),
        ({"captions": True}, "a sweep compares classifiers"),
        ({"beta": 1}, "--beta is an option of none of baseline"),
        ({"epoch": 1}, "--epoch is an option of none of baseline"),
        ({"methods": BOTH, "beta": "much"}, "beta must be a number"),
        ({"per_method": {"equalizer": {}}}, "'equalizer', which is not one of --methods"),
        ({"per_method": {"baseline": {"beta": 1}}}, "not an option of method baseline"),
        ({"split": "exam"}, "no pictures in split 'exam'"),
        ({"attribution": "tea leaves"}, "unknown attribution"),
        ({"replicates": 0}, "replicates must be 1"),
        ({"model": "resnet19"}, "there is no network 'resnet19'"),
        ({"epochs": 0}, "epochs must be at least 1"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_trained(data, tmp_path, asked, message):
    with pytest.raises(InputError, match=re.escape(message)):
        fairvision.sweep(
            data, **{"output": tmp_path / "out", "methods": ["baseline"], **QUICK, **asked}
        )
    assert not list(tmp_path.glob("out/runs/*"))


def test_a_folder_of_something_else_is_kept(data, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(InputError):
            fairvision.sweep(
                data, output=tmp_path, methods=["baseline"], overwrite=overwrite, **QUICK
            )
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    (tmp_path / "thesis.txt").unlink()
    (tmp_path / "sweep.json").write_text(json.dumps([]))
    with pytest.raises(InputError, match="is damaged"):
        fairvision.sweep(data, output=tmp_path, methods=["baseline"], **QUICK)


def test_options_go_to_the_methods_that_have_them():
    plan = make_plan(
        ["baseline", "adversarial", "confusion"],
        [0],
        {"strength": 2, "epochs": 3},
        {"confusion": {"strength": 0.5}},
    )
    assert plan.specific == {
        "baseline": {},
        "adversarial": {"strength": 2},
        "confusion": {"strength": 0.5},
    }
    assert plan.shared["epochs"] == 3


def test_every_method_trains_in_a_sweep(tmp_path):
    """With a training that does nothing: the checks let all methods pass on fit data."""
    from fairvision.sweeping import plan

    made = make_plan(list(METHODS), [0], {}, {})
    fit = scenes(tmp_path / "data", count=120, bias=0.5, size=16, val_fraction=0.4)
    plan.check_learnable(made, fit)


# The board, from audits that are written by hand.


def audits(values: dict, attribute: str = "age", n: int = 50):
    """Return figures by seed from {(method, metric): [value per seed]}; None leaves the row out."""
    seeds = max(len(some) for some in values.values())
    methods = list(dict.fromkeys(method for method, _ in values))
    tables = {}
    for seed in range(seeds):
        rows = [
            (
                *(method, metric.partition("|")[0], attribute, metric.partition("|")[2], "", ""),
                *(some[seed], some[seed] - 0.1, some[seed] + 0.1, n, "fraction"),
            )
            for (method, metric), some in values.items()
            if seed < len(some) and some[seed] is not None
        ]
        columns = [*KEYS, "value", "low", "high", "n", "unit"]
        tables[seed] = read(pd.DataFrame(rows, columns=columns), methods)
    return tables


def made_of(values: dict, **more) -> board.Board:
    methods = list(dict.fromkeys(method for method, _ in values))
    figures = audits(values, **more)
    return board.collect(figures, methods, len(figures))


ACCURACY = board.Column("accuracy", "age")


def test_best_needs_a_gap_beyond_the_spread():
    clear = made_of({("a", "accuracy"): [0.7, 0.72], ("b", "accuracy"): [0.9, 0.92]})
    assert clear.best(ACCURACY) == "b"
    unclear = made_of({("a", "accuracy"): [0.7, 0.9], ("b", "accuracy"): [0.8, 1.0]})
    assert unclear.best(ACCURACY) is None
    one = made_of({("a", "accuracy"): [0.1], ("b", "accuracy"): [0.9]})
    assert one.best(ACCURACY) is None
    alone = made_of({("a", "accuracy"): [0.1, 0.2]})
    assert alone.best(ACCURACY) is None
    alike = made_of({("a", "accuracy"): [0.3, 0.3], ("b", "accuracy"): [0.1 + 0.2, 0.1 + 0.2]})
    assert alike.best(ACCURACY) is None


def test_against_the_first_the_images_must_show_it_too():
    values = {("a", "accuracy"): [0.9, 0.9], ("b", "accuracy"): [0.7, 0.7]}
    assert made_of(values).best(ACCURACY) == "a"
    for differences, best in (([-0.2, -0.2], "a"), ([-0.2, 0.05], "a"), ([-0.05, 0.05], None)):
        figures = audits({**values, ("b - a", "accuracy"): differences})  # intervals of ± .1
        made = board.collect(figures, ["a", "b"], 2)
        assert made.best(ACCURACY) == best
        assert made.compare("b", "a", ACCURACY) == (-1 if best else 0)


def test_best_is_closest_to_zero_where_zero_is_best():
    column = board.Column("directional T->A", "age", "work")
    made = made_of(
        {("a", "directional T->A|work"): [-0.4, -0.41], ("b", "directional T->A|work"): [0.1, 0.11]}
    )
    assert made.best(column) == "b"


def test_versions_of_images_are_compared_only_where_there_are_any():
    column = board.Column("cifar10s_bias", "age", "work")
    values = {("a", "accuracy|work"): [0.5, 0.5], ("b", "accuracy|work"): [0.5, 0.5]}
    assert column not in made_of(values).columns
    bias = {("a", "cifar10s_bias|work"): [0.4, 0.41], ("b", "cifar10s_bias|work"): [0.1, 0.11]}
    made = made_of({**values, **bias})
    assert made.best(column) == "b"
    assert "The same pictures in every age" in page_of(made)


def test_with_the_person_hidden_nothing_is_better_than_the_largest_group():
    column = board.Column("hidden_accuracy", "age")
    values = {("a", "hidden_accuracy"): [0.5, 0.52], ("b", "hidden_accuracy"): [0.1, 0.12]}
    made = replace(made_of(values), share={"age": 0.55})
    assert made.best(column) is None
    assert replace(made, share={"age": 0.3}).best(column) == "b"


def recalls(values: dict, n: int = 50):
    """Return figures by seed from {method: [[accuracy per group] per seed]}."""
    columns = [*KEYS, "value", "low", "high", "n", "unit"]
    tables = {}
    for seed in range(len(next(iter(values.values())))):
        rows = [
            (method, "accuracy", "age", "", group, "", value, 0.0, 1.0, n, "fraction")
            for method, seeds in values.items()
            for group, value in zip(("young", "old", "very old", "unknown"), seeds[seed])
        ]
        tables[seed] = read(pd.DataFrame(rows, columns=columns), list(values))
    return tables


def test_a_method_that_guesses_has_learnt_little():
    always, better = [1.0, 0.0, 0.0, 0.9], [0.6, 0.5, 0.5, 0.0]
    noise = [0.4, 0.3, 0.36, 0.5]
    methods = {"a": [better, better], "b": [always, always], "c": [better, noise]}
    made = board.collect(recalls(methods), list(methods), 2)
    found = {method: made.learnt[method, "age"] for method in methods}
    third = pytest.approx(1 / 3)
    assert found["b"] == board.Learnt(third, third, 0, 2, "mean recall over the groups")
    assert [own.little for own in found.values()] == [False, True, False]
    said = verdict.judge(made)
    (line,) = [line for line in said.warnings if "has learnt little" in line]
    assert line.startswith("age: b has learnt little: its mean recall over the groups is 33.3%")
    assert "not to be told" not in said.headline


def with_recalls(values: dict, by_group: dict):
    """Return figures by seed of both: what `audits` takes, and what `recalls` takes."""
    one, other = audits(values), recalls(by_group)
    return {
        seed: replace(one[seed], table={**other[seed].table, **one[seed].table}) for seed in one
    }


def test_what_has_learnt_little_has_neither_rank_nor_crown_and_takes_none():
    """Always naming one group neither amplifies nor turns with the surroundings."""
    amplified = board.Column("directional T->A", "age", "work")
    values = {
        ("plain", "worst_group_accuracy"): [0.5, 0.51],
        ("plain", "holds"): [0.4, 0.41],
        ("plain", "directional T->A|work"): [0.3, 0.31],
        ("mended", "worst_group_accuracy"): [0.7, 0.71],
        ("mended", "holds"): [0.8, 0.81],
        ("mended", "directional T->A|work"): [0.1, 0.11],
        ("constant", "worst_group_accuracy"): [0.0, 0.0],
        ("constant", "holds"): [1.0, 1.0],
        ("constant", "directional T->A|work"): [0.0, 0.0],
    }
    always, learnt = [1.0, 0.0, 0.0], [0.6, 0.5, 0.5]
    by_group = {name: [learnt, learnt] for name in ("plain", "mended")}
    figures = with_recalls(values, {**by_group, "constant": [always, always]})
    made = board.collect(figures, ["plain", "mended", "constant"], 2)
    assert made.best(board.Column("holds", "age")) == "mended"
    assert made.best(amplified) == "mended"
    assert made.compare("constant", "mended", amplified) == 0
    assert made.compare("mended", "constant", board.Column("worst_group_accuracy", "age")) == 1
    assert [made.rank(name, "age") for name in made.methods] == [2, 1, None]
    assert made.ranking("age") == ["mended", "plain", "constant"]
    told = verdict.judge(made)
    assert told.headline.startswith("Which to pick: mended: better than plain in")
    assert "\nage: first in rank: mended; " in told.headline
    (answer,) = [a for a in told.answers if a.question == "Is constant better than plain?"]
    assert answer.status == "no"
    assert answer.answer.startswith("It has learnt little about age.")
    ranks = board.table(made)["rank/age"]
    assert ranks.isna().tolist() == [False, False, True]
    assert ranks.dropna().tolist() == [2, 1]
    page = page_of(made)
    assert page.index("rank 1") < page.index("rank 2") < page.index("no rank")
    crowned = replace(made, learnt={})
    assert crowned.best(amplified) == "constant"


def test_who_names_nearly_one_group_has_learnt_little_however_many_images_show_it():
    nearly, learnt = [0.98, 0.06, 0.04], [0.4, 0.4, 0.4]
    methods = {"a": [learnt, learnt], "b": [nearly, nearly]}
    made = board.collect(recalls(methods, n=100_000), list(methods), 2)
    assert made.learnt["b", "age"].shown == 2
    assert [made.learnt[name, "age"].little for name in methods] == [False, True]


def test_what_has_learnt_nothing_of_a_task_is_the_best_of_nothing_about_it():
    """Whatever the image, it says the same: as often for every group, so nothing is amplified."""
    methods = ["plain", "mended", "constant"]
    values = {
        ("directional A->T", "age"): (0.3, 0.1, 0.0),
        ("accuracy", ""): (0.6, 0.7, 0.9),
        ("balanced_accuracy", ""): (0.9, 0.9, 0.7),
    }
    tables = {}
    for seed in range(2):
        rows = [
            (
                *(method, metric, attribute, "work", "", "", value),
                *(value - 0.3, value + 0.1, 50, "difference"),
            )
            for (metric, attribute), row in values.items()
            for method, value in zip(methods, row)
        ]
        columns = [*KEYS, "value", "low", "high", "n", "unit"]
        tables[seed] = read(pd.DataFrame(rows, columns=columns), methods)
    made = board.collect(tables, methods, 2)
    assert made.learnt_little("constant") == ["work"]
    for column in (("directional A->T", "age", "work"), ("accuracy", "", "work")):
        assert made.best(board.Column(*column)) == "mended"
    told = verdict.judge(made)
    assert [answer.status for answer in told.answers] == ["yes", "no"]
    (line,) = [line for line in told.warnings if "has learnt little" in line]
    assert "work: constant has learnt little: its balanced accuracy is 70.0%, and that of" in line


def test_ranks_go_by_the_worst_group_then_what_holds_then_amplification():
    def ranks(**rows):
        metrics = ("worst_group_accuracy", "holds", "directional T->A|work")
        made = made_of(
            {
                (name, metric): [value, value + 0.01]
                for name, row in rows.items()
                for metric, value in zip(metrics, row)
            }
        )
        return [made.rank(name, "age") for name in made.methods]

    assert ranks(a=[0.5, 0.9, 0.0], b=[0.8, 0.1, 0.4]) == [2, 1]
    assert ranks(a=[0.5, 0.2, 0.0], b=[0.5, 0.6, 0.4]) == [2, 1]
    assert ranks(a=[0.5, 0.5, 0.3], b=[0.5, 0.5, -0.1], c=[0.1, 0.9, 0.0]) == [2, 1, 3]
    assert ranks(a=[0.5, 0.5, 0.1], b=[0.5, 0.5, 0.1], c=[0.1, 0.5, 0.1]) == [1, 1, 3]
    one = made_of({("a", "holds"): [0.1], ("b", "holds"): [0.9], ("c", "accuracy"): [0.9]})
    assert [one.rank(name, "age") for name in one.methods] == [1, 1, None]
    bare = board.collect(audits({("a", "accuracy|work"): [0.5, 0.6]}, attribute=""), ["a"], 2)
    assert bare.ranking("") == ["a"]
    assert bare.rank("a", "") is None


def test_nothing_is_picked_where_the_first_method_guesses():
    guesses = [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    made = board.collect(recalls({"a": guesses, "b": guesses}), ["a", "b"], 2)
    first = verdict.judge(made).headline.splitlines()[0]
    assert first.startswith("Which to pick: not to be told from this sweep, as a has learnt little")
    some = board.collect(recalls({"a": guesses}, n=3), ["a"], 2)
    assert verdict.judge(some).warnings


def test_undefined_figures_are_counted_not_averaged():
    made = made_of({("a", "accuracy"): [0.5, math.nan, 0.7], ("b", "accuracy"): [math.nan] * 3})
    cell, other = made.summaries["a", ACCURACY], made.summaries["b", ACCURACY]
    assert (cell.mean, cell.seeds, cell.n) == (pytest.approx(0.6), 2, 50)
    assert math.isnan(other.mean)
    assert (other.seeds, other.n) == (0, 0)
    page = page_of(made)
    assert "2 of 3 seeds" in page
    assert "cannot be computed from these pictures" in page


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=4), min_size=2, max_size=4).filter(
        lambda rows: len({len(row) for row in rows}) == 1
    )
)
def test_best_is_better_than_every_other_by_definition(rows):
    made = made_of({(f"m{i}", "accuracy"): row for i, row in enumerate(rows)})
    means = [statistics.fmean(row) for row in rows]
    sds = [statistics.stdev(row) for row in rows]
    winners = [
        f"m{i}"
        for i in range(len(rows))
        if all(
            means[i] - means[j] > max(math.hypot(sds[i], sds[j]), 1e-9)
            for j in range(len(rows))
            if j != i
        )
    ]
    near = any(
        abs(abs(means[i] - means[j]) - max(math.hypot(sds[i], sds[j]), 1e-9)) < 1e-12
        for i in range(len(rows))
        for j in range(i)
    )
    assert near or ([made.best(ACCURACY)] if made.best(ACCURACY) else []) == winners


def test_the_words_say_what_the_spread_shows():
    made = made_of(
        {
            ("plain", "accuracy"): [0.7, 0.71],
            ("mended", "accuracy"): [0.9, 0.91],
            ("plain", "pointing_game"): [0.5, 0.51],
            ("mended", "pointing_game"): [0.2, 0.21],
            ("worse", "accuracy"): [0.5, 0.51],
        }
    )
    said = {a.question: a for a in verdict.judge(made).answers}
    mixed = said["Is mended better than plain?"]
    assert mixed.status == "unclear"
    assert "Better: Accuracy on age 70.5% to 90.5%" in mixed.answer
    assert "Worse: Evidence on the person 50.5% to 20.5%" in mixed.answer
    assert said["Is worse better than plain?"].status == "no"
    headline = verdict.judge(made).headline
    assert "fewest errors (Accuracy on age): mended, 90.5%" in headline
    assert headline.startswith(
        "Which to pick: no method is better than plain without a price.\n"
        "mended gains in “Accuracy on age”, and loses in “Evidence on the person”.\n"
    )


def picked(**rows: list[float]) -> str:
    """Return the first line about methods, from the accuracy and the pointing game of each."""
    values = {
        (name, metric): [value, value + 0.01]
        for name, some in rows.items()
        for metric, value in zip(("accuracy", "pointing_game"), some)
    }
    return verdict.judge(made_of(values)).headline.splitlines()[0]


def test_it_is_said_which_method_to_pick_and_why():
    line = picked(plain=[0.5, 0.5], mended=[0.8, 0.5], less=[0.6, 0.5])
    assert line == (
        "Which to pick: mended: better than plain in “Accuracy on age”; worse in no column."
    )
    line = picked(plain=[0.5, 0.5], sure=[0.8, 0.5], grounded=[0.5, 0.8], off=[0.9, 0.1])
    assert line == (
        "Which to pick: sure or grounded: sure is better than plain in “Accuracy on age”; grounded "
        "is better than plain in “Evidence on the person”; worse in no column."
    )
    assert picked(plain=[0.5, 0.5], same=[0.5, 0.5], bad=[0.5, 0.1]) == (
        "Which to pick: plain. The seeds show no method to be better in any column."
    )


def test_one_seed_cannot_tell_which_method_to_pick():
    made = made_of({("plain", "accuracy"): [0.5], ("mended", "accuracy"): [0.9]})
    assert verdict.judge(made).headline.startswith("Which to pick: one seed cannot tell.")
    assert "first in rank" not in verdict.judge(made).headline


def page_of(made: board.Board, name: str = "faces") -> str:
    settings = SweepSettings(
        **{"dataset": name, "split": "test", "n": 50, "model": "small_cnn", "seeds": [0, 1, 2]},
        **{"attribution": "gradcam", "replicates": 5, "options": {"lr": None, "task": ["x"]}},
        **{"options_of_methods": {}, "audits": ["audits/seed-0/report.html"], "versions": {}},
        descriptions=METHODS,
    )
    return render(board=made, verdict=verdict.judge(made, notes=[name]), settings=settings)


def test_the_page_is_whole_and_escaped():
    values = {
        (method, metric): [0.1 * (i + 1), 0.1 * (i + 2)]
        for method in ("baseline", EVIL)
        for i, metric in enumerate(
            ("accuracy", f"directional T->A|{EVIL}", "pointing_game", "hidden_accuracy")
        )
    }
    page = page_of(made_of(values, attribute=EVIL), name=EVIL)
    assert "<script" not in page
    assert page.count("<svg") == 3
    assert "http://" not in re.sub(r'xmlns="[^"]*"', "", page)
    assert page.startswith("<!doctype html>")
    assert len(set(re.findall(r'\bid="([^"]+)"', page))) == len(re.findall(r'\bid="([^"]+)"', page))


def test_a_page_without_attributes_and_without_figures():
    made = board.collect(audits({("a", "accuracy"): [None, None]}), ["a"], 2)
    page = page_of(made)
    assert "No figure is defined" in page
    assert "Not drawn" in page


def test_methods_look_different():
    assert len(set(looks(36))) == 36
