from __future__ import annotations

import pytest
import torch
from torch import nn

from fairvision.attribution import attribute
from fairvision.attribution.faithfulness import areas, curves, faithfulness, move_maps
from fairvision.errors import InputError
from fairvision.metrics import pointing_game, relevance_mass

METHODS = ("gradcam", "saliency", "input_x_gradient", "integrated_gradients", "occlusion")


class Weighted(nn.Module):
    """The second logit is a weighted sum of the red pixels; the first is 0."""

    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, images):
        logit = (images[:, 0] * self.weights).sum(dim=(1, 2))
        return torch.stack([torch.zeros_like(logit), logit], dim=1)


class Blind(nn.Module):
    """Ignores its input."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, images):
        return self.conv(images).mean(dim=(2, 3)) * 0 + torch.tensor([1.0, 2.0])


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture
def linear():
    return Weighted(torch.tensor([[4.0, -1.0], [2.0, 3.0]])).eval()


def test_curves_of_a_linear_network_by_hand(linear):
    """Contributions 4, 3, 2, −1 come in, and go, in the order of a map that knows them."""
    images = torch.ones(1, 3, 2, 2)
    maps = attribute(linear, images, 1, "input_x_gradient", signed=True)
    how = {"plain": 0.0, "steps": 4, "score": "logit"}
    insertion, deletion = curves(linear, images, 1, maps, **how)
    assert insertion.tolist() == [[0, 4, 7, 9, 8]]
    assert deletion.tolist() == [[8, 4, 1, -1, 0]]
    found = areas(insertion, deletion)
    assert found["insertion"].item() == (4 + 7 + 9 + 8 / 2) / 4
    assert found["deletion"].item() == (8 / 2 + 4 + 1 - 1) / 4


def test_probabilities_of_a_linear_network_by_hand(linear):
    images, maps = torch.ones(1, 3, 2, 2), linear.weights.detach()[None]
    expected = torch.tensor([[0.0, 4, 7, 9, 8]]).sigmoid()
    softmax, _ = curves(linear, images, 1, maps, plain=0.0, steps=4)
    sigmoid, _ = curves(linear, images, 1, maps, plain=0.0, steps=4, score="sigmoid")
    torch.testing.assert_close(softmax, expected)  # two logits, one of them 0
    torch.testing.assert_close(sigmoid, expected)


def test_no_order_is_better_than_that_of_the_contributions(linear):
    images = torch.rand(6, 3, 2, 2)
    how = {"plain": 0.0, "steps": 4, "score": "logit"}
    best = areas(*curves(linear, images, 1, images[:, 0] * linear.weights.detach(), **how))
    for _ in range(20):
        other = areas(*curves(linear, images, 1, torch.rand(6, 2, 2), **how))
        assert (best["insertion"] >= other["insertion"] - 1e-5).all()
        assert (best["deletion"] <= other["deletion"] + 1e-5).all()


def test_deletion_is_insertion_of_the_least_first(linear):
    images, maps = torch.rand(3, 3, 2, 2), torch.rand(3, 2, 2)
    how = {"steps": 4, "score": "logit"}
    _, deletion = curves(linear, images, 1, maps, **how)
    insertion, _ = curves(linear, images, 1, -maps, **how)
    torch.testing.assert_close(deletion, insertion.flip(1))


@pytest.mark.parametrize("plain", [None, "blur", 0.3, torch.rand(3, 1, 1), torch.rand(5, 3, 8, 8)])
def test_curves_go_from_the_plain_image_to_the_whole(plain):
    network = Weighted(torch.randn(8, 8)).eval()
    images, maps = torch.rand(5, 3, 8, 8), torch.rand(5, 8, 8)
    insertion, deletion = curves(network, images, 1, maps, plain=plain, score="logit")
    whole = network(images)[:, 1].detach()
    assert insertion.shape == deletion.shape == (5, 21)
    torch.testing.assert_close(insertion[:, -1], whole)
    torch.testing.assert_close(deletion[:, 0], whole)
    torch.testing.assert_close(insertion[:, 0], deletion[:, -1])
    if plain is None:
        mean = images.mean(dim=(2, 3), keepdim=True).expand_as(images)
        torch.testing.assert_close(insertion[:, 0], network(mean)[:, 1].detach())


def test_ties_come_in_random_order():
    """Half of the pixels tie at zero; in reading order, the first step would be the first row."""
    network = Weighted(torch.ones(8, 8)).eval()
    images, maps = torch.zeros(200, 3, 8, 8), torch.zeros(200, 8, 8)
    images[:, 0, :4] = 1
    maps[:, 0, 0] = 1
    insertion, _ = curves(network, images, 1, maps, plain=0.0, steps=2, score="logit")
    assert insertion[:, 1].std() > 1
    assert insertion[:, 1].mean() == pytest.approx(1 + 31 * 31 / 63, abs=0.5)


def test_what_is_undefined_is_nan_and_alone_so(linear):
    images, maps = torch.rand(4, 3, 2, 2), torch.rand(4, 2, 2)
    maps[1], maps[2, 0, 0] = 0, torch.nan
    insertion, deletion = curves(linear, images, torch.tensor([1, 1, 1, -1]), maps)
    assert insertion.isnan().all(dim=1).tolist() == [False, True, True, True]
    assert deletion.isnan().any(dim=1).tolist() == [False, True, True, True]
    alone, _ = curves(linear, images[:1], 1, maps[:1])
    torch.testing.assert_close(insertion[:1], alone)


@pytest.mark.parametrize("method", METHODS)
def test_batches_change_nothing_and_the_network_is_as_it_was(method):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 3))
    network.train()
    images, targets = torch.rand(3, 3, 12, 12), torch.tensor([0, 2, 1])
    how = {"curve_steps": 5, "perturbations": 3, "steps": 4}
    found = faithfulness(network, images, targets, method, **how)
    other = faithfulness(network, images, targets, method, batch_size=2, **how)
    for name, values in found.items():
        torch.testing.assert_close(values, other[name], equal_nan=True, rtol=1e-3, atol=1e-5)
        assert values.shape == (3,)
    assert network.training
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    state = torch.get_rng_state()
    faithfulness(network, images, targets, method, **how)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("method", "plain", "options"),
    [
        ("input_x_gradient", 0.0, {}),
        ("integrated_gradients", None, {"steps": 2}),
        ("integrated_gradients", 0.25, {"steps": 2, "baseline": 0.25}),
        ("deep_lift", None, {}),
    ],
)
def test_infidelity_of_exact_maps_is_zero(method, plain, options):
    network = Weighted(torch.randn(9, 9)).eval()
    found = faithfulness(network, torch.rand(4, 3, 9, 9), 1, method, plain=plain, **options)
    assert found["infidelity"].abs().max() < 1e-5
    assert (found["insertion"] > found["deletion"]).all()


def test_infidelity_of_a_wrong_map_by_hand():
    """One square speaks for, another as much against; a map without sign gives both the same.

    Hidden or not, a and b, the logit falls by a − b, and no multiple of a + b comes nearer to that
    than 0: the mean of (a − b)² is 1/2. The signed map knows it all.
    """
    network = Weighted(torch.zeros(7, 7)).eval()
    network.weights.data[3, 3], network.weights.data[1, 2] = 1, -1
    images = torch.ones(40, 3, 7, 7)
    how = {"plain": 0.0, "perturbations": 200}
    unsigned = faithfulness(network, images, 1, "saliency", **how)["infidelity"]
    assert unsigned.mean().item() == pytest.approx(0.5, abs=0.02)
    signed = faithfulness(network, images, 1, "input_x_gradient", **how)["infidelity"]
    assert signed.abs().max() < 1e-5


def test_infidelity_is_the_same_in_any_unit():
    network, images = Weighted(torch.randn(9, 9)).eval(), torch.rand(4, 3, 9, 9)
    exact = {"plain": 0.0, "steps": 2}
    half = faithfulness(network, images, 1, "integrated_gradients", baseline=images / 2, **exact)
    assert half["infidelity"].max() < 1e-5


def test_sensitivity_of_constant_gradients_is_zero():
    network = Weighted(torch.randn(6, 6)).eval()
    images = torch.rand(3, 3, 6, 6)
    assert faithfulness(network, images, 1, "saliency")["sensitivity"].max() == 0
    moves = faithfulness(network, images, 1, "input_x_gradient", radius=0.1)["sensitivity"]
    assert ((moves > 0) & (moves < 1)).all()


@pytest.mark.parametrize("method", ["gradcam", "saliency", "integrated_gradients"])
def test_a_network_that_ignores_its_input_has_no_figures(method):
    found = faithfulness(Blind().eval(), torch.rand(3, 3, 8, 8), 1, method, perturbations=2)
    assert all(values.isnan().all() for values in found.values())


def test_moved_maps_score_chance():
    """On average over all places, exactly; and no smoother or rougher than they were."""
    maps = torch.zeros(4000, 8, 8)
    maps[:, 2:5, 2:5] = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])
    masks = torch.zeros(4000, 8, 8)
    masks[:, 2:6, 2:6] = 1
    elsewhere = move_maps(maps, seed=3)
    assert torch.equal(elsewhere.flatten(1).sort().values, maps.flatten(1).sort().values)
    assert torch.equal(elsewhere[:10], move_maps(maps[:10], seed=3))
    for measure in (pointing_game, relevance_mass):
        assert measure(maps.numpy(), masks.numpy()).mean() > 0.9
        assert measure(elsewhere.numpy(), masks.numpy()).mean() == pytest.approx(0.25, abs=0.02)


def test_evidence_is_better_than_the_same_elsewhere():
    """A network that looks at one corner; maps that know it, and maps moved away from it."""
    weights = torch.zeros(12, 12)
    weights[:4, :4] = 0.5
    network = Weighted(weights).eval()
    images = torch.rand(20, 3, 12, 12)
    found = faithfulness(
        network, images, 1, "input_x_gradient", plain=0.0, score="logit", perturbations=0
    )
    assert "infidelity" not in found
    assert found["insertion"].mean() > found["insertion_chance"].mean() + 0.5
    assert found["deletion"].mean() < found["deletion_chance"].mean() - 0.5


def test_no_images(linear):
    found = faithfulness(linear, torch.rand(0, 3, 2, 2), 1, "saliency")
    assert all(values.shape == (0,) for values in found.values())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"score": "odds"}, "score 'odds': choose from softmax, sigmoid, logit"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"plain": "black"}, "plain 'black': give None, 'blur', a number or pictures"),
        ({"maps": torch.rand(1, 3, 3)}, r"maps have shape \(1, 3, 3\), but the pictures"),
    ],
)
def test_bad_options_are_named(linear, changes, words):
    given = {"maps": torch.rand(1, 2, 2), **changes}
    with pytest.raises(InputError, match=words):
        curves(linear, torch.rand(1, 3, 2, 2), 1, **given)
