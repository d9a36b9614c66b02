"""Swapping surroundings: nothing of the donor's person stays, nothing of the pasted one goes."""

import pytest
import torch

from fairvision.datasets import swapping
from fairvision.datasets.swapping import FILLS, choose_donors, fill, paste
from fairvision.errors import InputError


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def people():
    """Return 60 masks of boxes, of any place and size."""
    corners = drawn(60, 4)
    masks = torch.zeros(60, 1, 16, 16)
    for mask, (x, y, width, height) in zip(masks, (corners * 8).int().tolist()):
        mask[0, y : y + height + 2, x : x + width + 2] = 1
    return masks


@pytest.mark.parametrize("method", FILLS)
@pytest.mark.parametrize("shape", [(20, 20), (7, 13), (1, 5), (32, 3)])
def test_what_is_filled_depends_on_what_stays_visible_only(method, shape):
    images, masks = drawn(4, 3, *shape), (drawn(4, 1, *shape, seed=1) > 0.6).float()
    other = torch.where(masks > 0, 1 - images, images)
    filled = fill(images, masks, method, widen=0)
    torch.testing.assert_close(filled, fill(other, masks, method, widen=0))
    assert torch.equal(torch.where(masks > 0, images, filled), images)
    assert (filled >= -1e-6).all()
    assert (filled <= 1 + 1e-6).all()


@pytest.mark.parametrize("method", FILLS)
def test_a_plain_wall_is_filled_with_its_colour(method):
    masks = torch.zeros(1, 1, 20, 20)
    masks[..., 5:15, 5:15] = 1
    images = torch.where(masks > 0, 0.9, torch.full((1, 3, 20, 20), 0.25))
    torch.testing.assert_close(fill(images, masks, method), torch.full_like(images, 0.25))


@pytest.mark.parametrize("method", FILLS)
def test_images_in_a_batch_do_not_touch_each_other(method):
    images, masks = drawn(5, 3, 12, 12), (drawn(5, 1, 12, 12, seed=1) > 0.7).float()
    alone = torch.cat([fill(images[i : i + 1], masks[i : i + 1], method) for i in range(5)])
    torch.testing.assert_close(fill(images, masks, method), alone)


@pytest.mark.parametrize("method", FILLS)
def test_a_person_everywhere_becomes_grey_and_none_stays(method):
    images = drawn(2, 3, 8, 8)
    masks = torch.stack([torch.ones(1, 8, 8), torch.zeros(1, 8, 8)])
    filled = fill(images, masks, method)
    assert (filled[0] == 0.5).all()
    assert torch.equal(filled[1], images[1])


def test_rows_without_colour_take_those_above_and_below():
    image = torch.zeros(1, 1, 6, 4)
    image[..., 3:, :] = 1
    masks = torch.zeros(1, 1, 6, 4)
    masks[..., 2:4, :] = 1
    filled = fill(image, masks, "rows", widen=0)
    assert torch.equal(filled[..., [0, 1, 4, 5], :], image[..., [0, 1, 4, 5], :])
    assert ((filled[..., 2:4, :] >= 0) & (filled[..., 2:4, :] <= 1)).all()


def test_edges_of_the_hidden_person_are_widened_and_those_of_the_pasted_are_not():
    images, masks = torch.ones(1, 3, 100, 100), torch.zeros(1, 1, 100, 100)
    masks[..., 40:60, 40:60] = 1
    images[..., 38:62, 38:62] = 0  # a rim of the person, beyond the mask
    assert (fill(images, masks, "mean") == 1).all()
    assert (paste(images, masks, torch.ones_like(images)) == 0).sum() == 3 * 20 * 20


def test_an_unknown_fill_is_named():
    with pytest.raises(InputError, match="unknown fill 'paint': one of rows"):
        fill(torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4), "paint")


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("groups", [2, 3])
def test_donors_are_others_of_known_groups_with_masks(people, groups, same):
    codes = torch.arange(60) % groups
    codes[::10] = -1
    people[5] = 0
    chosen = choose_donors(people, codes, drawn(60, seed=2), 4, same=same)
    assert (chosen[(codes < 0) | (torch.arange(60) == 5)] == -1).all()
    for row, donors in enumerate(chosen):
        donors = donors[donors >= 0]
        assert row not in donors
        assert len(set(donors.tolist())) == len(donors)
        assert 5 not in donors
        assert (codes[donors] >= 0).all()
        assert ((codes[donors] == codes[row]) == same).all()
    assert (chosen >= 0).any(dim=1).sum() == ((codes >= 0) & (torch.arange(60) != 5)).sum()


def test_donors_do_not_depend_on_the_order_nor_on_how_many_are_compared_at_once(
    people, monkeypatch
):
    codes, draws, order = torch.arange(60) % 3, drawn(60, seed=2), drawn(60, seed=3).argsort()
    chosen = choose_donors(people, codes, draws, 4)
    moved = choose_donors(people[order], codes[order], draws[order], 4)
    assert torch.equal(order[moved], chosen[order])
    monkeypatch.setattr(swapping, "_AT_ONCE", 7 * 60)
    assert torch.equal(choose_donors(people, codes, draws, 4), chosen)


def test_donors_are_drawn_anew_and_evenly(people):
    people[:] = people[:1]
    codes = torch.arange(60) % 2
    times = torch.zeros(60)
    for seed in range(50):
        chosen = choose_donors(people, codes, drawn(60, seed=10 + seed), 4)
        times += torch.bincount(chosen.flatten(), minlength=60)
    assert times.min() > 130  # 200 on average
    assert times.max() < 280


def test_the_pasted_person_covers_the_donors(people):
    codes = torch.arange(60) % 2
    chosen = choose_donors(people, codes, drawn(60, seed=2), 2)
    outside = ((1 - people.flatten(1)) @ people.flatten(1).T).gather(1, chosen).mean()
    by_chance = ((1 - people.flatten(1)) @ people.flatten(1).T).mean()
    assert outside < by_chance / 2


def test_only_those_give_that_may(people):
    codes, may = torch.arange(60) % 2, torch.arange(60) < 20
    chosen = choose_donors(people, codes, drawn(60, seed=2), 12, may_give=may)
    assert (chosen < 20).all()
    assert (chosen[:, :10] >= 0).all()  # ten of each group may
    assert (chosen[:, 10:] == -1).all()


def test_who_fills_the_image_has_no_surroundings_to_take_or_to_give(people):
    people[:10] = 1
    chosen = choose_donors(people, torch.arange(60) % 2, drawn(60, seed=2), 25)
    assert (chosen[:10] == -1).all()
    assert (chosen[10:] >= 0).all()
    assert (chosen[10:] >= 10).all()


def test_nobody_is_no_error():
    empty = torch.zeros(0, 1, 4, 4)
    assert choose_donors(empty, torch.zeros(0).long(), torch.zeros(0), 3).shape == (0, 3)
    one = choose_donors(torch.ones(1, 1, 4, 4), torch.zeros(1).long(), torch.zeros(1), 3)
    assert (one == -1).all()
