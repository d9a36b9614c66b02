"""Sweeps: what is trained, kept, resumed and refused."""

from __future__ import annotations

import json
import math
import re
import shutil
import statistics
from dataclasses import replace

import pandas as pd
import pytest
from safetensors.torch import load_file

import fairvision
from fairvision import datasets, runs
from fairvision.datasets import scenes
from fairvision.errors import InputError
from fairvision.methods import METHODS
from fairvision.methods.equalizer import Equalizer
from fairvision.sweeping import verdict
from fairvision.sweeping.plan import make_plan

QUICK = {"size": 16, "epochs": 1, "batch_size": 8, "device": "cpu", "replicates": 5}
BOTH = ["baseline", "equalizer"]


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
