"""Which parameters and statistics move in each regime, how fast, and what --tune auto chooses."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import fairvision
from fairvision import models, runs
from fairvision.errors import InputError
from fairvision.methods.method import Objective, Terms
from fairvision.training.steps import Learner, make_optimizer

# name: side of the images, and what of the backbone moves in --tune last
FAMILIES = {
    "lecture_cnn": (12, ["dense."]),
    "small_cnn": (12, ["conv2.", "norm2.", "conv3.", "norm3."]),
    "vgg11_bn": (32, ["classifier."]),
    "alexnet": (64, ["classifier."]),
    "resnet18": (32, ["layer4."]),
    "mobilenet_v2": (32, ["features.17.", "features.18."]),
    "mobilenet_v3_small": (32, ["features.11.", "features.12.", "classifier."]),
    "inception_v3": (75, ["Mixed_7c."]),
    "convnext_tiny": (32, ["features.7.", "classifier."]),
    "vit_b_32": (32, ["encoder.layers.encoder_layer_11.", "encoder.ln."]),
    "densenet121": (32, ["features.denseblock4.", "features.norm5."]),
    "efficientnet_b0": (32, ["features.7.", "features.8."]),
    "timm:test_resnet": (32, ["layer4."]),
    "timm:test_convnext": (32, ["stages.3.", "head."]),
    "timm:test_vit": (32, ["blocks.5.", "norm."]),
    "timm:test_efficientnet": (32, ["blocks.4.", "conv_head.", "bn2."]),
}


def options(**told):
    usual = {"lr": 1e-4, "lr_backbone": 1.0, "weight_decay": 0.01, "schedule": "constant"}
    return SimpleNamespace(**{"optimizer": "adamw", **usual, **told})


def state_of(network) -> dict[str, torch.Tensor]:
    """Return a copy of all parameters and statistics, without tables of positions."""
    learnt = {k for k, _ in network.named_parameters()}
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return {
        k: v.clone()
        for k, v in network.state_dict().items()
        if k in learnt or k.endswith(statistics)
    }


def moved(network, size) -> set[str]:
    """Take two steps (after one, residuals that begin at zero have moved no more than their ends).

    Returns the names of what has changed.
    """
    torch.manual_seed(0)
    for head in (*network.heads, *network.auxiliary_heads):
        torch.nn.init.normal_(head.weight, std=0.02)  # at zero no gradient would reach the backbone
    before = state_of(network)
    optimizer, _ = make_optimizer(network, options(), steps=1)
    network.train()
    images, weights = torch.rand(3, 3, size, size), torch.randn(3, 2)
    for _ in range(2):
        answer = network(images)["gender"]
        # Linear, so that no answer is too sure for a gradient.
        loss = sum((own * weights).sum() for own in (answer, *network.auxiliary.values()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {k for k, v in state_of(network).items() if not torch.equal(v, before[k])}


@pytest.mark.parametrize("name", FAMILIES)
def test_what_moves(name):
    size, last = FAMILIES[name]
    torch.manual_seed(0)
    network = models.build(name, {"gender": 2}, size=size)
    everything = set(state_of(network))
    heads = {"heads.0.weight", "heads.0.bias"}
    starts = tuple(f"backbone.{start}" for start in last)

    models.tune(network, "head")
    assert moved(network, size) == heads
    models.tune(network, "last")
    assert moved(network, size) == heads | {k for k in everything if k.startswith(starts)}
    models.tune(network, "all")
    assert moved(network, size) == everything


def test_the_auxiliary_classifier_learns_only_with_the_whole_network():
    torch.manual_seed(0)
    network = models.build("inception_v3", {"gender": 2}, size=299)
    for regime in ("last", "all"):
        models.tune(network, regime)
        learns = {
            "last": ("heads.", "backbone.Mixed_7c."),
            "all": ("heads.", "auxiliary_heads.", "backbone."),
        }[regime]
        expected = {k for k in network.state_dict() if k.startswith(learns)}
        assert moved(network, 299) == expected


def test_the_auxiliary_loss_is_part_of_every_method_while_training():
    torch.manual_seed(0)
    network = models.build("inception_v3", {"gender": 2, "things": 3}, size=299, many=["things"])
    images = torch.rand(3, 3, 299, 299)
    things = torch.tensor([[1.0, 0, 0], [-1, -1, -1], [0, 1, 0]])
    batch = SimpleNamespace(
        images=images[:2],
        targets={"gender": torch.tensor([1, -1]), "things": things[:2]},
    )

    def terms(network, batch):
        network(images)  # as a method that also shows images of its own
        return Terms({})

    learner = Learner(network, Objective(terms)).train()
    found = learner(batch)
    # Heads start at zero: ln 2 for the one image that is known, and for each label.
    assert {k: round(v.item(), 4) for k, v in found.losses.items()} == {
        "auxiliary/gender": round(0.4 * np.log(2), 4),
        "auxiliary/things": round(0.4 * np.log(2), 4),
    }
    assert {k: int(v) for k, v in found.counts.items()} == dict.fromkeys(found.losses, 1)
    assert network.auxiliary == {}
    with torch.no_grad():
        assert learner.eval()(batch).losses == {}


def rates(network, **told) -> dict[str, float]:
    optimizer, schedule = make_optimizer(network, options(lr=1.0, **told), steps=1000)
    for _ in range(60):
        optimizer.step()
        schedule.step()
    groups = optimizer.param_groups
    assert len({id(p) for group in groups for p in group["params"]}) == sum(
        p.requires_grad for p in network.parameters()
    )
    assert all(group["weight_decay"] == 0 for group in groups if "(no decay)" in group["name"])
    assert all(p.ndim > 1 for g in groups if "(decay)" in g["name"] for p in g["params"])
    return {g["name"].partition(" (")[0]: g["lr"] for g in groups}


def test_the_rate_falls_from_the_heads_to_the_first_block_in_geometric_progression():
    network = models.build("resnet18", {"gender": 2}, size=32)
    assert rates(network) == {"network": 1.0}
    names = ["heads", "layer4", "layer3", "layer2", "layer1", "conv1"]
    found = rates(network, lr_backbone=2.6**-5)
    assert list(found) == names
    assert_close([*found.values()], [2.6**-i for i in range(6)])
    models.tune(network, "last")
    assert rates(network, lr_backbone=0.1) == {"heads": 1.0, "layer4": 0.1}
    models.tune(network, "head")
    assert rates(network, lr_backbone=0.1) == {"heads": 1.0}


def test_what_belongs_to_no_block_has_the_rate_of_the_first():
    network = models.build("timm:test_vit", {"gender": 2}, size=32)
    parts = models.learning_parts(network)
    assert next(iter(parts)) == "heads"
    assert list(parts)[-1] == "patch_embed"
    first = {id(p) for p in parts["patch_embed"]}
    assert {id(network.backbone.pos_embed), id(network.backbone.cls_token)} <= first


def test_a_companion_learns_at_the_full_rate():
    network = models.build("resnet18", {"gender": 2}, size=32)
    adversary = torch.nn.Linear(3, 2)
    optimizer, _ = make_optimizer(network, options(lr_backbone=0.01), 10, adversary)
    first = optimizer.param_groups[0]
    assert first["name"] == "heads (decay)"
    assert any(p is adversary.weight for p in first["params"])


QUICK = {"size": 16, "epochs": 1, "batch_size": 8, "device": "cpu"}


def test_auto_chooses_and_says_why(folder, tmp_path, capsys, monkeypatch):
    first = fairvision.train(folder, output=tmp_path / "first", tune="auto", **QUICK)
    assert first.config["options"]["tune"] == "all"
    assert "nothing to keep" in first.config["chosen"]["tune"]
    weights = str(first.folder)
    second = fairvision.train(folder, output=tmp_path / "b", tune="auto", weights=weights, **QUICK)
    assert second.config["options"]["tune"] == "head"
    assert second.config["chosen"]["tune"].startswith("18 training pictures are few")
    before, after = (runs.network(run).backbone.state_dict() for run in (first, second))
    assert all(torch.equal(after[k], before[k]) for k in before)
    plain = fairvision.train(folder, output=tmp_path / "c", tune="head", weights=weights, **QUICK)
    assert "chosen" not in plain.config
    assert plain.config["options"] == second.config["options"]


@pytest.mark.parametrize(
    ("images", "regime"),
    [(2, "head"), (999, "head"), (1000, "last"), (9999, "last"), (10_000, "all"), (10**7, "all")],
)
def test_the_rule_of_thumb(images, regime):
    assert models.choose_regime(images, pretrained=True)[0] == regime
    assert models.choose_regime(images, pretrained=False)[0] == "all"


def test_runs_of_timm_and_of_the_last_block_are_read_back(folder, tmp_path):
    """Trained, resumed from as weights, and read by name alone."""
    quick = {**QUICK, "size": 32, "model": "timm:test_resnet"}
    first = fairvision.train(folder, output=tmp_path / "first", **quick)
    second = fairvision.train(
        folder,
        output=tmp_path / "second",
        **{**quick, "weights": str(first.folder), "tune": "last", "lr_backbone": 0.1},
    )
    before, after = (runs.network(run).state_dict() for run in (first, second))
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed == {k for k in before if k.startswith(("heads.", "backbone.layer4."))}
    assert second.config["options"]["lr_backbone"] == 0.1
    shown = fairvision.predict(second, [folder / "0.png"])
    assert len(shown) == 1


def test_bad_shares_of_the_rate(folder, tmp_path):
    for share in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="share of the learning rate must be above 0"):
            fairvision.train(folder, output=tmp_path / "x", lr_backbone=share, **QUICK)
    assert not (tmp_path / "x").exists()
