"""Swapped surroundings: models whose reason is plain are told by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fairvision import audit, datasets
from fairvision.auditing.cause_figures import column
from fairvision.auditing.swaps import few_donors, plan, swap
from fairvision.auditing.tables import SHARES, SWAPPED, Samples, read_predictions
from fairvision.core.files import read_json
from fairvision.errors import InputError
from fairvision.schema import Schema

GROUPS = ("red", "green", "blue")
SIDE, CPU = 16, torch.device("cpu")
pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")


@dataclass
class Judge:
    """A model that tells a group by the colour of some pixels."""

    schema: Schema
    pixels: Callable[[torch.Tensor], torch.Tensor]
    name: str = "judge"
    size: int = SIDE
    device: torch.device = CPU
    module: None = None

    def predict(self, images):
        assert len(images) <= 7
        return {
            "colour": (50 * self.pixels(images)[:, : len(self.schema.labels("colour"))]).softmax(1)
        }


def by_person(images):
    """Tell by the brightest pixels: people alone are fully coloured."""
    return (images >= 0.99).float().mean(dim=(2, 3))


def by_corner(images):
    return images[:, :, 0, 0]


@pytest.fixture(scope="module")
def draw(tmp_path_factory):
    """Return a function that draws people in the colour of their group, in rooms of that colour."""

    def drawn(n=40, groups=2, *, masks=None, unknown=(), whole=(), agree=1.0, seed=0):
        folder = tmp_path_factory.mktemp("people")
        random = np.random.default_rng(seed)
        rows = []
        for i in range(n):
            group = i % groups
            room = group if random.random() < agree else (group + 1) % groups
            image, mask = np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((SIDE, SIDE), np.uint8)
            image[..., room] = random.integers(120, 200)
            x, y, height = *random.integers(3, 7, 2), random.integers(5, 8)
            mask[y : y + height, x : x + 4] = 255
            if i in whole:
                mask[:] = 255
            image[mask > 0] = 255 * np.eye(3, dtype=np.uint8)[group]
            Image.fromarray(image).save(folder / f"{i}.png")
            Image.fromarray(mask).save(folder / f"m{i}.png")
            rows.append(
                {
                    "id": f"p{i}",
                    "image": f"{i}.png",
                    "mask": f"m{i}.png" if masks is None or i in masks else None,
                    "split": "test",
                    "colour": None if i in unknown else GROUPS[group],
                    "room": GROUPS[room],
                }
            )
        data = datasets.Dataset(
            root=folder,
            name="people",
            attributes={"colour": GROUPS[:groups]},
            tasks={"room": datasets.Task(GROUPS[:groups])},
            samples=pd.DataFrame(rows),
        )
        datasets.save(data, folder)
        return datasets.load(folder)

    return drawn


def asked(data, pixels=by_person, *, swaps=4, method="mean", batch_size=7, seed=0, model=None):
    model = model or Judge(Schema({"colour": data.attributes["colour"]}), pixels)
    images = datasets.open_pixels(data, SIDE, cache="never").take(np.arange(len(data))).images
    scores = [
        model.predict(part)["colour"]
        for part in (torch.tensor(images).permute(0, 3, 1, 2) / 255).split(7)
    ]
    names = [f"score/colour/{group}" for group in model.schema.labels("colour")]
    samples = Samples(
        "judge", data, pd.DataFrame(torch.cat(scores).double().numpy(), columns=names)
    )
    donors = plan(data, swaps=swaps, seed=seed)
    return swap(model, samples, donors, method=method, batch_size=batch_size, cache="never")


@pytest.mark.parametrize("groups", [2, 3])
@pytest.mark.parametrize("method", datasets.FILLS)
def test_who_looks_at_people_only_holds_everywhere(draw, groups, method):
    table = asked(draw(groups=groups), by_person, method=method)
    assert (
        (table[["holds/colour", "swapped_right/colour", "same_swapped_right/colour"]] == 1)
        .all()
        .all()
    )
    others, same = (
        table[[f"{kind}/colour/{g}" for g in GROUPS[:groups]]].to_numpy()
        for kind in ("swapped", "same_swapped")
    )
    np.testing.assert_allclose(others, same, atol=1e-6)
    truth = np.arange(40) % groups
    there = table[[f"others_here/colour/{g}" for g in GROUPS[:groups]]].to_numpy()
    given = ~np.isnan(there).any(axis=1)
    assert given.any()
    assert (there[given, truth[given]] < 0.5).all()


@pytest.mark.parametrize("groups", [2, 3])
@pytest.mark.parametrize("method", datasets.FILLS)
def test_who_looks_at_a_corner_turns_with_the_surroundings(draw, groups, method):
    table = asked(draw(groups=groups), by_corner, method=method)
    assert (table[["holds/colour", "swapped_right/colour"]] == 0).all().all()
    assert (table["same_swapped_right/colour"] == 1).all()
    pasted = table[[f"pasted/colour/{g}" for g in GROUPS[:groups]]].to_numpy()
    assert (pasted.argmax(axis=1) == np.arange(40) % groups).all()
    there = table[[f"others_here/colour/{g}" for g in GROUPS[:groups]]].to_numpy()
    given = ~np.isnan(there).any(axis=1)
    assert (there.argmax(axis=1) == np.arange(40) % groups)[given].all()


def test_donors_show_what_is_typical_of_their_group(draw):
    data = draw(n=60, agree=0.7)
    assert data.codes("room").tolist() != data.codes("colour").tolist()
    assert (asked(data, by_corner)["swapped_right/colour"] == 0).all()
    bare = replace(data, tasks={}, samples=data.samples.drop(columns="room"))
    assert 0.1 < asked(bare, by_corner)["swapped_right/colour"].mean() < 0.5


def test_rows_and_batches_in_any_order_say_the_same(draw):
    data = draw(n=30, groups=3)
    first = asked(data)
    pd.testing.assert_frame_equal(asked(data, batch_size=3), first)
    order = np.random.default_rng(0).permutation(30)
    moved = asked(data.rows(order))
    pd.testing.assert_frame_equal(moved, first.iloc[order].reset_index(drop=True))


def test_another_seed_draws_other_donors(draw):
    data = draw()
    assert (plan(data, seed=0)["colour"].others != plan(data, seed=1)["colour"].others).any()


def test_probabilities_are_means_over_the_swaps(draw):
    def by_blue(images):  # a person who was pasted, and a little of the room
        return by_person(images) + 0.001 * by_corner(images)

    data = draw()
    table = asked(data, by_blue)
    values = table[["swapped/colour/red", "swapped/colour/green"]]
    np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-6)


def test_order_of_groups_in_the_model_does_not_matter(draw):
    data = draw(groups=3)
    turned = Judge(Schema({"colour": ("blue", "green", "red")}), lambda x: by_person(x).flip(1))
    table = asked(data)
    model = Judge(Schema({"colour": GROUPS}), by_person)
    donors = plan(data, swaps=4)
    scores = pd.DataFrame(
        np.eye(3)[np.arange(40) % 3], columns=[f"score/colour/{g}" for g in GROUPS]
    )
    samples = Samples("judge", data, scores)
    kinds = {"method": "mean", "batch_size": 7, "cache": "never"}
    for one in (turned, model):
        pd.testing.assert_frame_equal(swap(one, samples, donors, **kinds), table, atol=1e-6)


def test_undefined_without_mask_group_or_donor(draw):
    data = draw(n=12, masks=range(6), unknown=(0,))
    table = asked(data)
    assert table.iloc[6:].isna().all().all()
    assert table.iloc[0].isna().all()
    assert table["holds/colour"].iloc[1:6].notna().all()
    assert "5 of 5 people are shown in fewer than 4" in few_donors(plan(data, swaps=4))[0]


@pytest.mark.parametrize(("n", "masks"), [(1, None), (4, ()), (4, (0, 2))])
def test_nobody_to_swap_with(draw, n, masks):
    table = asked(draw(n=n, masks=masks))
    kinds = [name for name in table if not name.startswith(("same", "pasted"))]
    assert table[kinds].isna().all().all()
    assert len(table) == n


def test_people_who_fill_their_image_have_no_surroundings_to_exchange(draw):
    assert asked(draw(n=8, whole=range(8))).isna().all().all()
    table = asked(draw(n=12, whole=range(4)))
    assert table.iloc[:4].isna().all().all()
    assert table.iloc[4:]["holds/colour"].notna().all()


def test_a_model_that_does_not_answer_holds_nothing_and_is_not_wrong(draw):
    data = draw(n=20)

    def silent(images):
        """Give no answer where the surroundings are green."""
        colours = by_person(images)
        return colours.where(images[:, 1, 0, :1] == 0, torch.nan)

    table = asked(data, silent)
    red, green = (data.codes("colour") == code for code in (0, 1))
    assert table.loc[red, ["holds/colour", "swapped_right/colour"]].isna().all().all()
    assert table.loc[green, "holds/colour"].isna().all()
    assert (table.loc[green, "swapped_right/colour"] == 1).all()
    assert table.loc[green, "same_swapped_right/colour"].isna().all()
    assert table.loc[red, "same_swapped_right/colour"].eq(1).all()


def test_no_donors_are_short_where_there_are_enough(draw):
    assert few_donors(plan(draw(), swaps=4)) == []


@pytest.fixture(scope="module")
def audited(world, two_runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("audits")
    quick = {"data": world, "replicates": 3, "device": "cpu", "leaning": False}
    done = audit(two_runs[0], output=folder / "swapped", swaps=3, **quick)
    audit(two_runs[0], output=folder / "without", swaps=0, **quick)
    return done, folder


def test_audits_write_the_columns_and_read_them_back(audited):
    done, folder = audited
    path = folder / "swapped" / "A" / "samples.parquet"
    table = pd.read_parquet(path)
    groups = ("striped", "dotted", "checked")
    assert {f"{kind}/shirt/{group}" for kind in SWAPPED for group in groups} <= set(table)
    assert {f"{kind}/shirt" for kind in SHARES} <= set(table)
    assert not any(name.startswith("swapped/context") for name in table)
    assert table["holds/shirt"].dropna().isin([0, 1 / 3, 2 / 3, 1]).all()
    (read,), _, _ = read_predictions([path], ["A"], split="test")
    np.testing.assert_array_equal(column(read, "holds", "shirt"), table["holds/shirt"])
    names = [f"swapped/shirt/{group}" for group in groups]
    np.testing.assert_allclose(read.probabilities("swapped", "shirt"), table[names], atol=1e-6)
    again = audit(predictions=path, output=folder / "again", replicates=3)
    same = again.metrics.merge(done.metrics, on=["metric", "attribute", "task", "group", "label"])
    np.testing.assert_allclose(same["value_x"], same["value_y"], atol=1e-6)
    settings = read_json(folder / "swapped" / "audit.json")
    assert '"swaps": 3' in (folder / "swapped" / "audit.json").read_text()
    assert settings["verdict"]


def test_without_swaps_all_else_is_the_same(audited):
    _, folder = audited
    swapped, without = (
        pd.read_parquet(folder / name / "A" / "samples.parquet") for name in ("swapped", "without")
    )
    assert not any(name.split("/")[0] in (*SWAPPED, *SHARES) for name in without)
    pd.testing.assert_frame_equal(swapped[list(without)], without)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"swaps": -1}, "swaps must be 0 to 1000"),
        ({"swaps": 1001}, "swaps must be 0 to 1000"),
        ({"fill": "paint"}, "unknown fill 'paint'"),
    ],
)
def test_bad_options(two_runs, tmp_path: Path, options, message):
    with pytest.raises(InputError, match=message):
        audit(two_runs[0], output=tmp_path / "audit", **options)
    assert not (tmp_path / "audit").exists()


def test_given_shares_must_be_fractions(tmp_path: Path):
    table = pd.DataFrame(
        {
            "id": ["a", "b"],
            "hat": ["no", "yes"],
            "score/hat/no": [1.0, 0],
            "score/hat/yes": [0, 1.0],
        }
    ).assign(**{"holds/hat": [0.5, 2]})
    table.to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(
        InputError, match=r"row 2, column .holds/hat.: .2.0. is not a number from 0 to 1"
    ):
        read_predictions([tmp_path / "mine.csv"], ["mine"], split="test")
