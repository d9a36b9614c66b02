"""Masks drawn in bulk: as often, as strong and as laid out as torch's, alike over processes."""

import pytest
import torch
from torch import nn

from fairvision.core.processes import Share
from fairvision.training.chance import Dropout, dropout_in_bulk, dropout_mask
from fairvision.training.processes import Place


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.9, 1e-6])
def test_values_are_set_to_0_as_often_as_is_asked_and_the_mean_stays(p):
    torch.manual_seed(0)
    mask = dropout_mask(torch.empty(400_003), p)
    n = mask.numel()
    assert mask[mask > 0].unique().tolist() == [pytest.approx(1 / (1 - p))]
    spread = (p * (1 - p) / n) ** 0.5
    assert abs((mask == 0).double().mean().item() - p) < 5 * spread + 2**-17


def test_neighbours_are_independent():
    torch.manual_seed(0)
    zero = (dropout_mask(torch.empty(200_000), 0.25) == 0).double()
    for distance in (1, 2, 3, 4, 8):
        both = (zero[distance:] * zero[:-distance]).mean().item()
        assert both == pytest.approx(0.25**2, abs=5 * (0.0625 / 200_000) ** 0.5)


def test_gradients_pass_where_values_do():
    layer = nn.Sequential(nn.Dropout(0.5))
    values = torch.ones(4, 3, 5, 7).contiguous(memory_format=torch.channels_last).requires_grad_()
    with dropout_in_bulk(layer):
        result = layer(values)
    result.sum().backward()
    assert torch.equal(values.grad, result)
    assert result.is_contiguous(memory_format=torch.channels_last)
    with dropout_in_bulk(layer.eval()):
        assert torch.equal(layer(values), values)


def test_p_of_0_and_1_and_the_type_of_values_stay():
    values = torch.ones(8, 2, dtype=torch.bfloat16)
    for p, expected in ((0, 1), (1, 0)):
        layer = nn.Dropout(p)
        with dropout_in_bulk(layer):
            assert (layer(values) == expected).all()
    layer = nn.Dropout(0.5)
    with dropout_in_bulk(layer):
        assert layer(values).dtype == torch.bfloat16


def test_the_shares_of_two_processes_are_the_batch_of_one():
    values = torch.rand(5, 3, 4, 4)

    def answer(place, rows):
        layer = nn.Dropout(0.3)
        with dropout_in_bulk(layer, place):
            return layer(values[rows])

    torch.manual_seed(7)
    whole = answer(None, slice(0, 5))
    parts = []
    for rank, part in enumerate((Share(0, 3, 5), Share(3, 2, 5))):
        place = Place(torch.device("cpu"), rank, 2)
        place.share = part
        place.generator.manual_seed(7)
        parts.append(answer(place, part.rows))
    assert torch.equal(torch.cat(parts), whole)


def test_only_torchs_own_dropout_is_drawn_in_bulk():
    class Other(nn.Dropout):
        pass

    network = nn.Sequential(nn.Dropout(), Other(), nn.Dropout2d())
    with dropout_in_bulk(network):
        assert [type(module) for module in network] == [Dropout, Other, nn.Dropout2d]
    assert [type(module) for module in network] == [nn.Dropout, Other, nn.Dropout2d]
    assert not hasattr(network[0], "place")
