from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from fairvision import datasets, metrics
from fairvision.auditing.sanity import (
    FEWER_OF_SAMPLE,
    SAMPLE,
    checks,
    examine,
    layers_from_top,
    on_other_masks,
    randomised,
    rank_correlation,
)
from fairvision.errors import InputError
from fairvision.models import build
from fairvision.results.entries import sanity as entries
from fairvision.results.expectations import check_lines, status
from fairvision.results.expectations import checks as checks_of
from fairvision.results.figures import Figure, read
from fairvision.runs.model import as_model

CHECKS = {metric.name: metric for metric in entries.METRICS}
SIDE = 32


class Spots(nn.Module):
    """Red pixels speak for the class: what is red is where the evidence lies."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 5, padding=2, stride=2)
        self.fc = nn.Linear(8, 2)
        with torch.no_grad():
            self.conv.weight.mul_(0.1)
            self.conv.weight[0] = 0
            self.conv.weight[0, 0] = 1
            self.fc.weight.mul_(0.01)
            self.fc.weight[1, 0] = 1

    def forward(self, images):
        return self.fc(self.conv(images).relu().mean(dim=(2, 3)))


@pytest.fixture(scope="module")
def images():
    """A red person at a random place, also across the edges, before green and blue squares.

    Each colour covers a third, so a network that likes one of them at random hits it by chance.
    Masks of other images say nothing.
    """
    source = np.random.default_rng(0)
    images = torch.zeros(60, 3, SIDE, SIDE)
    masks = torch.zeros(60, SIDE, SIDE, dtype=torch.bool)
    for image, mask in zip(images, masks):
        green = np.kron(source.random((8, 8)) < 0.5, np.ones((4, 4))) > 0
        image[1][torch.from_numpy(green)] = 1
        image[2][torch.from_numpy(~green)] = 1
        mask[:18, :18] = True
        mask[:] = mask.roll(tuple(source.integers(0, SIDE, 2).tolist()), dims=(0, 1))
        image[:, mask] = torch.tensor([1.0, 0, 0])[:, None]
    return images, masks, torch.ones(60, dtype=torch.int64)


@pytest.fixture(scope="module")
def spots():
    torch.manual_seed(0)
    return Spots().eval()


@pytest.fixture(scope="module")
def found(spots, images):
    return {
        (metric, label): result for metric, label, result in checks(spots, *images, replicates=99)
    }


def verdicts(found):
    return {
        key: status(CHECKS[key[0]].expected, Figure(float(r), r.low, r.high, r.n))
        for key, r in found.items()
    }


def test_a_model_that_looks_at_the_person_passes(found):
    said = verdicts(found)
    judged = {key: one for key, one in said.items() if one}
    assert "fail" not in judged.values()
    for check in ("insertion", "deletion"):
        assert judged[f"sanity_{check}", ""] == "pass"
    assert judged["sanity_random_maps", "relevance_mass"] == "pass"
    assert judged["sanity_shuffled_masks", "relevance_mass"] == "pass"
    assert judged["sanity_randomised_correlation", ""] == "pass"
    assert {metric for metric, _ in found} == set(CHECKS)


def test_own_masks_are_beyond_those_of_others_for_it_alone(found, spots, images):
    assert found["sanity_own_masks", "relevance_mass"].low > 0.25
    layers = layers_from_top(spots)
    own = []
    for seed in range(6):
        broken = randomised(spots, layers, images[0], seed=seed)
        rows = {
            (metric, label): result
            for metric, label, result in checks(broken, *images, replicates=9)
        }
        own.append(float(rows["sanity_own_masks", "relevance_mass"]))
    assert np.nanmean(own) < found["sanity_own_masks", "relevance_mass"].low


def test_maps_that_ignore_the_weights_fail(images, monkeypatch):
    """Edges of the image, whatever the network: the same maps from any weights."""
    from fairvision.auditing import sanity

    def edges(network, images, target, **_):
        return images[:, 0] + images[:, 1] / 2

    monkeypatch.setattr(sanity, "attribute_maps", edges)
    monkeypatch.setattr(sanity, "faithfulness", lambda *_, **__: faithless)
    faithless = {name: torch.rand(9) for name in ("infidelity", "sensitivity")}
    faithless |= {
        f"{a}{b}": torch.rand(9) for a in ("insertion", "deletion") for b in ("", "_chance")
    }
    network = Spots().eval()
    found = {(m, label): r for m, label, r in checks(network, *images, replicates=9)}
    said = verdicts(found)
    assert said["sanity_randomised_correlation", ""] == "fail"
    assert float(found["sanity_randomised_correlation", ""]) == pytest.approx(1)
    assert said["sanity_randomised_localisation", "relevance_mass"] == "fail"


def test_people_and_maps_in_the_middle_fail_the_shuffled_masks(spots):
    """On the person because it is where everyone is: own masks are no better than others'."""
    images = torch.zeros(20, 3, SIDE, SIDE)
    masks = torch.zeros(20, SIDE, SIDE, dtype=torch.bool)
    images[:, 0, 8:24, 8:24], masks[:, 8:24, 8:24] = 1, True
    targets = torch.ones(20, dtype=torch.int64)
    found = {(m, label): r for m, label, r in checks(spots, images, masks, targets, replicates=99)}
    said = verdicts(found)
    assert said["sanity_shuffled_masks", "relevance_mass"] == "fail"
    assert abs(found["sanity_own_masks", "relevance_mass"]) < 1e-6
    assert found["sanity_random_maps", "relevance_mass"].n == 20


def test_a_network_that_ignores_its_input_is_unclear(images):
    class Blind(Spots):
        def forward(self, images):
            return super().forward(images) * 0 + torch.tensor([1.0, 2.0])

    found = {(m, label): r for m, label, r in checks(Blind().eval(), *images, replicates=9)}
    judged = {one for one in verdicts(found).values() if one}
    assert judged == {"unclear"}
    assert all(np.isnan(float(result)) and result.n == 0 for result in found.values())


def test_the_network_is_as_it_was(spots, images):
    before = {name: values.clone() for name, values in spots.state_dict().items()}
    spots.train()
    for _ in checks(spots, *images, replicates=0):
        pass
    assert spots.training
    spots.eval()
    assert all(torch.equal(values, before[name]) for name, values in spots.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in spots.parameters())


@pytest.mark.parametrize("measure", ["pointing_game", "relevance_mass"])
def test_on_other_masks_is_the_mean_over_all_pairs(measure):
    source = np.random.default_rng(0)
    maps, masks = source.normal(size=(7, 5, 6)).round(1), source.random((7, 5, 6)) < 0.4
    maps[2], maps[3, 0, 0] = -1, np.nan
    scores, level = on_other_masks(measure, maps, masks)
    for i in range(7):
        others = [j for j in range(7) if j != i]
        one = getattr(metrics, measure)(np.stack([maps[i]] * 6), masks[others])
        np.testing.assert_allclose(scores[i], one.mean())
        assert level[i] == pytest.approx(masks[others].mean())


def test_one_image_has_no_others():
    scores, level = on_other_masks("relevance_mass", np.ones((1, 2, 2)), np.eye(2)[None] > 0)
    assert np.isnan(scores).all()
    assert np.isnan(level).all()


def test_rank_correlation_is_spearmans():
    source = torch.Generator().manual_seed(0)
    first, second = (torch.rand(3, 9, 7, generator=source).round(decimals=1) for _ in range(2))
    second[1] = 2
    pairs = zip(first[::2], second[::2])
    expected = [spearmanr(a.flatten(), b.flatten()).statistic for a, b in pairs]
    found = rank_correlation(first, second)
    np.testing.assert_allclose(found[::2], expected)
    assert np.isnan(found[1])


@pytest.mark.parametrize("name", ["small_cnn", "shufflenet_v2_x0_5"])
def test_shuffled_layers_and_no_others(name):
    network = build(name, {"hat": 2, "shirt": 3}, size=32).eval()
    for head in network.heads:
        nn.init.normal_(head.weight)
    images = torch.rand(4, 3, 32, 32)
    layers = layers_from_top(network)
    assert layers[0] == ["heads.0", "heads.1"]
    named = [one for layer in layers for one in layer]
    weights = {name.rpartition(".")[0] for name, _ in network.named_parameters()}
    assert set(named) == weights
    upper = {one for layer in layers[:3] for one in layer}
    broken = randomised(network, layers[:3], images, seed=1)
    again = randomised(network, layers[:3], images, seed=1)
    same = dict(again.named_parameters())
    for key, parameter in broken.named_parameters():
        before = network.get_parameter(key)
        assert torch.equal(parameter, same[key])
        if key.rpartition(".")[0] not in upper:
            assert torch.equal(parameter, before)
        elif before.ndim > 1 and before.abs().sum() > 0:
            assert not torch.equal(parameter, before)
        sizes = [own.detach().abs().flatten().sort()[0] for own in (parameter, before)]
        torch.testing.assert_close(*sizes)
    assert not broken.training
    logits = broken(images)["hat"]
    assert logits.isfinite().all()


def test_statistics_of_shuffled_layers_are_taken_anew():
    network = build("small_cnn", {"hat": 2}, size=16).eval()
    network.backbone.norm3.running_mean += 100
    broken = randomised(network, layers_from_top(network), torch.rand(9, 3, 16, 16))
    assert broken.backbone.norm3.running_mean.abs().max() < 10
    assert broken.backbone.norm3.momentum == network.backbone.norm3.momentum
    assert (network.backbone.norm3.running_mean == 100).all()


def test_rows_of_a_run(two_runs, world):
    tested = datasets.load(world).split("test")
    model = as_model(two_runs[0])
    before = {name: values.clone() for name, values in model.module.state_dict().items()}
    how = {"images": 8, "replicates": 20}
    rows = examine(model, tested, **how)
    assert set(rows["metric"]) == set(CHECKS)
    assert rows["n"].max() == 8
    assert (rows["attribute"] == "shirt").all()
    after = model.module.state_dict()
    assert all(torch.equal(values, before[name]) for name, values in after.items())
    pd.testing.assert_frame_equal(rows, examine(model, tested, **how))
    other = examine(model, tested, **how, batch_size=3)
    np.testing.assert_allclose(rows["value"], other["value"], atol=0.01, rtol=0.01)
    with pytest.raises(InputError, match="sanity checks need pictures"):
        examine(model, tested, images=0)

    (part,) = checks_of(read(rows, ["A"]))
    assert part.model == "A"
    assert len(part.rows) == len(rows)
    said = check_lines(rows)
    assert sum("Random maps (relevance mass)" in line for line in said) == 1
    assert all(line.split()[0] in ("pass", "fail", "unclear") for line in said)


def test_without_masks_there_are_no_checks(two_runs, world):
    tested = datasets.load(world).split("test")
    samples = tested.samples.assign(mask=None)
    bare = datasets.Dataset(tested.root, "bare", tested.attributes, tested.tasks, samples)
    assert examine(as_model(two_runs[0]), bare).empty


@pytest.mark.parametrize(
    ("metric", "value", "low", "high", "n", "expected"),
    [
        ("sanity_random_maps", 0.2, 0.1, 0.3, 90, "fail"),
        ("sanity_random_maps", 0.2, -0.1, 0.3, 90, "pass"),
        ("sanity_random_maps", 0.04, 0.03, 0.05, 90, "pass"),
        ("sanity_random_maps", -0.2, -0.3, -0.1, 90, "fail"),
        ("sanity_random_maps", 0.0, -0.1, 0.1, 4, "unclear"),
        ("sanity_random_maps", np.nan, np.nan, np.nan, 0, "unclear"),
        ("sanity_insertion", 0.2, 0.1, 0.3, 90, "pass"),
        ("sanity_insertion", 0.2, -0.1, 0.3, 90, "unclear"),
        ("sanity_insertion", -0.2, -0.3, -0.1, 90, "fail"),
        ("sanity_deletion", -0.2, -0.3, -0.1, 90, "pass"),
        ("sanity_deletion", 0.2, 0.1, 0.3, 90, "fail"),
        ("sanity_infidelity", 0.2, 0.1, 0.3, 90, ""),
    ],
)
def test_status(metric, value, low, high, n, expected):
    assert status(CHECKS[metric].expected, Figure(value, low, high, n)) == expected


def test_the_command_prints_and_reports_the_checks(two_runs, tmp_path, run_cli):
    folder = tmp_path / "audit"
    how = ["--replicates", 20, "--device", "cpu", "--sanity-pictures", 6, "--no-leaning"]
    done = run_cli("audit", two_runs[0], "-o", folder, "--sanity", *how)
    assert done.code == 0, done.err
    written = pd.read_csv(folder / "metrics.csv")
    assert set(CHECKS) <= set(written["metric"])
    assert check_lines(written)[0] in done.out
    assert done.out.count("expected: ") == sum(
        bool(row.status) for row in checks_of(read(written, ["A"]))[0].rows
    )
    page = (folder / "report.html").read_text()
    assert "Can the maps be trusted?" in page
    assert "Random maps, relevance mass" in page
    bare = run_cli("audit", two_runs[0], "-o", tmp_path / "bare", "--no-sanity", *how)
    assert "expected: " not in bare.out
    assert "Can the maps be trusted?" not in (tmp_path / "bare" / "report.html").read_text()


def test_by_default_a_sample_is_checked_and_only_what_failed_is_printed(
    two_runs, tmp_path, run_cli
):
    how = ["--replicates", 20, "--device", "cpu", "--no-leaning", "--swaps", 0]
    done = run_cli("audit", two_runs[0], "-o", tmp_path / "audit", *how)
    written = pd.read_csv(tmp_path / "audit" / "metrics.csv")
    counts = written.set_index("metric")["n"]
    assert counts["sanity_own_masks"].max() <= SAMPLE
    assert counts["sanity_insertion"] == FEWER_OF_SAMPLE
    failed = [row for row in checks_of(read(written, ["A"]))[0].rows if row.status == "fail"]
    assert check_lines(written, passed=False) == [
        line for line in done.out.splitlines() if "expected: " in line
    ]
    assert done.out.count("expected: ") == len(failed)


def test_tables_cannot_be_asked_again(tmp_path, run_cli):
    done = run_cli("audit", "--predictions", "a.parquet", "-o", tmp_path / "x", "--sanity")
    assert done.code == 2
    assert "--sanity is for runs" in done.err


def test_the_page_is_true(capsys):
    page = (Path(__file__).parents[2] / "docs" / "sanity.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(example, "sanity.md", "exec"), {})
    assert "insertion: mean = " in capsys.readouterr().out
    for metric, check in CHECKS.items():
        assert metric in page or metric.removeprefix("sanity_") in page
        if check.expected and check.expected.margin:
            assert f"±{check.expected.margin:g}" in page
