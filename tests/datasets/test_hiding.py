"""Hiding the person: what is hidden leaves no trace, what is shown stays as it is."""

import pytest
import torch

from fairvision.datasets import hide_person, only_person
from fairvision.datasets.hiding import widened


@pytest.fixture
def person():
    masks = torch.zeros(2, 1, 20, 20)
    masks[0, :, 5:10, 5:10] = 1
    return masks


@pytest.mark.parametrize("hide", [hide_person, only_person])
def test_the_hidden_part_leaves_no_trace(person, hide):
    images = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    hidden = person if hide is hide_person else 1 - person
    other = torch.where(hidden > 0, 1 - images, images)
    torch.testing.assert_close(hide(images, person, widen=0)[0], hide(other, person, widen=0)[0])


def test_the_shown_part_stays(person):
    images = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    outside = hide_person(images, person, widen=0)
    inside = only_person(images, person, widen=0)
    assert torch.equal(torch.where(person > 0, images, outside), images)
    assert torch.equal(torch.where(person > 0, inside, images), images)
    mean = images[0][:, person[0, 0] == 0].mean(dim=1)
    torch.testing.assert_close(outside[0, :, 7, 7], mean)


def test_edges_are_widened(person):
    images = torch.rand(2, 3, 20, 20)
    moved = (hide_person(images, person, widen=0.05) != images).any(dim=1)[0]
    assert moved[4:11, 4:11].all()
    assert moved.sum() == 49


def test_without_a_person(person):
    images = torch.rand(2, 3, 20, 20)
    assert torch.equal(hide_person(images, person)[1], images[1])
    assert (only_person(images, person)[1] == 0.5).all()


def test_a_person_everywhere_becomes_grey():
    images = torch.rand(1, 3, 4, 4)
    assert (hide_person(images, torch.ones(1, 1, 4, 4)) == 0.5).all()


@pytest.mark.parametrize("shape", [(32, 32), (9, 14), (20, 1)])
@pytest.mark.parametrize("share", [0.0, 0.03, 0.1, 0.4])
def test_widened_is_the_maximum_over_a_square(shape, share):
    masks = (torch.rand(3, 1, *shape, generator=torch.Generator().manual_seed(0)) > 0.95).float()
    radius = round(share * max(shape))
    expected = torch.nn.functional.max_pool2d(masks, 2 * radius + 1, stride=1, padding=radius)
    assert torch.equal(widened(masks, share), expected)
