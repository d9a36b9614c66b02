"""A model shown files, and the same model asked directly: the figures are the same."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fairvision import datasets
from fairvision.auditing import hide_folder, streaming
from fairvision.auditing.hidden_files import MARKER
from fairvision.auditing.hidden_tables import SWAPS, by_image
from fairvision.auditing.layouts import Layout
from fairvision.auditing.material import of_subjects, of_tables
from fairvision.auditing.measures import measure
from fairvision.auditing.tables import open_predictions, read_predictions
from fairvision.datasets.batching import image_tensor
from fairvision.errors import FairvisionWarning, InputError
from fairvision.runs.model import as_model

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
SIZE = 32
KEYS = ["metric", "attribute", "task", "group", "label"]
OF_MAPS = ("evidence", "pointing_game", "relevance_mass", "chance_level", "outside minus inside")


def filled(table, folder, model):
    """Show each file of a table to a model, and fill in what it says."""
    table = table.copy()
    images = [image_tensor(datasets.read_image(folder / path), SIZE) for path in table["image"]]
    with torch.inference_mode():
        scores = model.predict(torch.stack(images))
    for head in model.schema:
        for i, label in enumerate(model.schema.labels(head)):
            table[f"score/{head}/{label}"] = scores[head][:, i].double().numpy()
    return table


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return a folder of drawn scenes with two attributes, a task, masks and counterfactuals."""
    folder = tmp_path_factory.mktemp("world") / "scenes"
    drawn = datasets.scenes(
        folder, count=90, bias=0.8, groups=3, size=SIZE, seed=1, counterfactuals=True
    )
    halves = drawn.samples["id"].map(lambda name: ("odd", "even")[int(name[:6]) % 2])
    samples = drawn.samples.assign(half=halves)
    datasets.save(
        replace(drawn, attributes={**drawn.attributes, "half": ("odd", "even")}, samples=samples),
        folder,
    )
    return folder


@pytest.fixture(scope="module")
def run(world, draw_run, tmp_path_factory):
    return draw_run(tmp_path_factory.mktemp("runs") / "A", world)


@pytest.fixture(scope="module")
def shown(world, run, tmp_path_factory):
    """Return the folder of files of a dataset, and the table as a model fills it in."""
    folder = tmp_path_factory.mktemp("wall") / "out"
    table = hide_folder(world, folder, size=SIZE, swaps=3)
    return folder, filled(table, folder, as_model(run, torch.device("cpu")))


def test_the_table_names_every_file_and_no_truth(world, shown):
    folder, filled_in = shown
    table = pd.read_csv(folder / "predictions.csv", dtype={"id": str})
    dataset = datasets.load(world).originals().split("test")
    assert not {*dataset.schema} & {*table}
    assert table.filter(like="score/").isna().all().all()
    again = pd.read_parquet(folder / "predictions.parquet")
    assert list(again) == list(table) == list(filled_in)
    assert again["id"].tolist() == table["id"].tolist()
    files = {str(path.relative_to(folder)) for path in folder.rglob("*.png")}
    assert files == {*table["image"]}
    assert table["image"].is_unique
    counts = table["kind"].value_counts()
    assert counts["hidden"] == counts["person"] == len(dataset)
    made = datasets.load(world).split("test").counterfactuals()
    assert counts["whole"] == len(dataset) + len(made)
    assert len(made)
    assert {*SWAPS} < {*counts.index}
    text = (folder / "README.txt").read_text()
    assert "fairvision audit --predictions" in text
    assert "score/shirt/…: striped, dotted, checked (they sum to 1)" in text


def test_the_same_figures_as_of_the_model_asked_directly(world, run, shown, tmp_path):
    shown[1].to_csv(tmp_path / "filled.csv", index=False)
    direct = of_subjects(
        *([run], None, "test", world),
        device="cpu",
        attribution=None,
        swaps=3,
        fill="rows",
        leaning=False,
        sanity=False,
        sanity_pictures=None,
        replicates=1,
        seed=0,
    )
    read = of_tables([tmp_path / "filled.csv"], None, "test", world, None, (), Layout())
    one, other = (
        material.models[0].scores.set_axis(material.models[0].truth.samples["id"])
        for material in (direct, read)
    )
    one = one[[name for name in one if not name.startswith("evidence")]]
    assert {*one} == {*other}
    other = other.loc[one.index, list(one)]
    whole = [name for name in one if name.startswith("score/")]
    np.testing.assert_allclose(one[whole], other[whole], atol=1e-4)
    np.testing.assert_allclose(one, other, atol=2e-3)
    figures, of_table = (
        measure(material.models, material.reference, replicates=1) for material in (direct, read)
    )
    both = figures.merge(of_table, on=KEYS, how="outer", indicator=True)
    alone = both[both["_merge"] != "both"]
    assert all(any(word in name for word in OF_MAPS) for name in alone["metric"])
    both = both[both["_merge"] == "both"]
    np.testing.assert_array_equal(both["n_x"], both["n_y"])
    np.testing.assert_allclose(both["value_x"], both["value_y"], atol=2e-3)
    there = {"accuracy", "hidden_accuracy", "hidden_probability_gap", "person_accuracy"}
    there |= {"holds", "reasons", "background_gap", "others_here", "counterfactual_flips"}
    assert there <= {*both["metric"]}
    assert both.loc[both["metric"] == "holds", "attribute"].nunique() == 2


def test_hidden_files_are_those_of_the_house(world, shown):
    folder, table = shown
    dataset = datasets.load(world).originals().split("test")
    pixels = datasets.open_pixels(dataset, SIZE)
    (batch,) = datasets.batches(dataset, pixels, len(dataset))
    expected = {
        "whole": batch.images,
        "hidden": datasets.hide_person(batch.images, batch.masks),
        "person": datasets.only_person(batch.images, batch.masks),
    }
    for kind, images in expected.items():
        paths = table.loc[table["kind"] == kind, "image"][: len(dataset)]
        read = torch.stack(
            [image_tensor(datasets.read_image(folder / path), SIZE) for path in paths]
        )
        assert (read - images).abs().max() <= (0 if kind == "whole" else 0.5 / 255 + 1e-6)


@pytest.fixture
def people(tmp_path):
    """Return a dataset of images of several sizes, one without a mask, one of nobody."""
    rows = []
    for i, (width, height) in enumerate([(40, 20), (30, 30), (20, 50), (24, 24)]):
        image = np.full((height, width, 3), 60 * i, np.uint8)
        mask = np.zeros((height, width), np.uint8)
        mask[5:9, 4:12] = 255 * (i != 3)
        image[mask > 0] = (255, 0, 0)
        Image.fromarray(image).save(tmp_path / f"{i}.png")
        Image.fromarray(mask).save(tmp_path / f"m{i}.png")
        hat = ["no", "yes", None, "yes"][i]
        row = {"id": f"p{i}", "image": f"{i}.png", "mask": f"m{i}.png", "split": "test"}
        rows.append({**row, "hat": hat})
    rows[1]["mask"] = None
    data = datasets.Dataset(tmp_path, "people", {"hat": ("no", "yes")}, {}, pd.DataFrame(rows))
    datasets.save(data, tmp_path)
    return tmp_path


def test_files_keep_their_size(people, tmp_path):
    with pytest.warns(FairvisionWarning, match="2 of 4 pictures have no mask of a person"):
        table = hide_folder(people, tmp_path / "out")
    sizes = {path: datasets.read_image(tmp_path / "out" / path).size for path in table["image"]}
    assert sizes["images/hidden/0001.png"] == (40, 20)
    assert sizes["images/person/0003.png"] == (20, 50)
    assert table.groupby("kind").size().to_dict() == {"hidden": 2, "person": 2, "whole": 4}
    hidden = np.asarray(datasets.read_image(tmp_path / "out" / "images/hidden/0001.png"))
    assert (hidden == hidden[0, 0]).all()  # nothing of the red person
    assert "attribute" not in table


def test_answers_alone_and_heads_that_are_not_predicted(world, shown, tmp_path):
    _, table = shown
    scores = [name for name in table if name.startswith("score/shirt/")]
    table = table.copy()
    table[scores] = np.eye(3)[table[scores].to_numpy().argmax(axis=1)]
    table = table.assign(**{name: None for name in table if name.startswith("score/context/")})
    table.to_csv(tmp_path / "answers.csv", index=False)
    (samples,), reference, _ = read_predictions(
        [tmp_path / "answers.csv"], ["a"], split="test", data=datasets.load(world)
    )
    assert reference is None
    assert samples.probabilities("hidden", "shirt") is not None
    assert samples.probabilities("score", "context") is None


def test_rows_in_any_order_say_the_same(world, shown, tmp_path):
    _, table = shown
    mixed = table.sample(frac=1, random_state=0)
    for name, rows in (("a", table), ("b", mixed)):
        rows.to_parquet(tmp_path / f"{name}.parquet")
    (one, other), _, _ = read_predictions(
        [tmp_path / "a.parquet", tmp_path / "b.parquet"],
        ["a", "b"],
        split="test",
        data=datasets.load(world),
    )
    pd.testing.assert_frame_equal(one.scores, other.scores)


def test_what_was_not_answered_is_said(world, shown, tmp_path):
    _, table = shown
    table = table.copy()
    rows = table.index[table["kind"] == "hidden"][:2]
    table.loc[rows, [name for name in table if name.startswith("score/shirt/")]] = np.nan
    table.to_csv(tmp_path / "some.csv", index=False)
    with pytest.warns(FairvisionWarning, match=r"shirt has no answer for 2 of 18 of kind hidden"):
        read_predictions([tmp_path / "some.csv"], ["a"], split="test", data=datasets.load(world))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(kind=t["kind"].replace("hidden", "hiden")), "'hiden': one of whole,"),
        (lambda t: pd.concat([t, t.iloc[[1]]]), "is there twice with kind 'hidden'"),
        (lambda t: t.iloc[1:], "has no row of kind whole: the figures compare with it"),
        (lambda t: t.drop(columns="donor"), "has no column 'donor'"),
        (lambda t: t.assign(donor=t["donor"].where(t.index < len(t) - 1, "x")), "'x' has no row"),
        (lambda t: t.assign(donor=None), "is empty, as it is of no swapped picture"),
        (lambda t: t.assign(id=t["id"].where(t.index != 3, "")), r"row 4, column 'id': is empty"),
        (
            lambda t: t.assign(**{name: None for name in t if name.startswith("score/")}),
            "no probability is filled in",
        ),
        (
            lambda t: t.assign(**{"score/shirt/dotted": "70%"}),
            r"row 1, column 'score/shirt/dotted': '70%' is not a number",
        ),
        (
            lambda t: t.assign(
                **{"score/shirt/dotted": t["score/shirt/dotted"].where(t.index != 1, 1.0)}
            ),
            r"filled.csv row 2, column 'score/shirt/…': the probabilities sum to",
        ),
        (
            lambda t: t.assign(
                **{"score/shirt/dotted": t["score/shirt/dotted"].where(t["attribute"] != "shirt")}
            ),
            r"row \d{3}, column 'score/shirt/dotted': is empty but others of the row are not",
        ),
    ],
)
def test_bad_tables_are_told_by_the_row_of_the_file(world, shown, tmp_path, change, message):
    change(shown[1]).to_csv(tmp_path / "filled.csv", index=False)
    with pytest.raises(InputError, match=message):
        read_predictions([tmp_path / "filled.csv"], ["a"], split="test", data=datasets.load(world))


def test_logits_are_filled_in_as_well(world, shown, tmp_path):
    table = shown[1]
    names = [name for name in table if name.startswith("score/")]
    table.to_parquet(tmp_path / "A.parquet")
    logits = {name: np.log(table[name].clip(lower=1e-300)) for name in names}
    table.assign(**logits).to_parquet(tmp_path / "B.parquet")
    options = {"split": "test", "data": datasets.load(world)}
    (one,), *_ = read_predictions([tmp_path / "A.parquet"], "A", **options)
    layout = Layout(logits=True)
    (other,), *_ = read_predictions([tmp_path / "B.parquet"], "B", layout=layout, **options)
    assert any(name.startswith("swapped/") for name in one.scores)
    pd.testing.assert_frame_equal(one.scores, other.scores, rtol=1e-6)


def test_other_tables_with_a_column_kind_are_left_as_they_are(tmp_path):
    table = pd.DataFrame({"id": ["a", "b"], "kind": ["whole", "half"]})
    table = table.assign(**{"score/kind/whole": [0.5, 1], "score/kind/half": [0.5, 0]})
    for name, columns in (("truth", table), ("other", table.assign(kind=["x", "y"]))):
        columns.to_csv(tmp_path / f"{name}.csv", index=False)
        opened, _ = open_predictions(tmp_path / f"{name}.csv")
        assert by_image(opened) is opened


def test_tables_too_large_to_be_held_are_refused(world, shown, tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "LIMIT", 5)
    shown[1].to_parquet(tmp_path / "filled.parquet")
    with pytest.raises(InputError, match=r"row per file \(column kind\) .* cannot be counted"):
        of_tables([tmp_path / "filled.parquet"], None, "test", world, None, (), Layout())


def test_tables_without_truth_ask_for_the_data(shown, tmp_path):
    shown[1].to_csv(tmp_path / "filled.csv", index=False)
    with pytest.raises(InputError, match="--data DIR with the dataset"):
        read_predictions([tmp_path / "filled.csv"], ["a"], split="test")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be 1 to 4096"),
        ({"swaps": 2}, "swaps need --size"),
        ({"swaps": -1}, "swaps must be 0 to 1000"),
        ({"fill": "paint"}, "unknown fill 'paint'"),
        ({"split": "train"}, "has no pictures in split 'train'"),
    ],
)
def test_bad_options_write_nothing(people, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        hide_folder(people, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_without_masks_nobody_can_be_hidden(people, tmp_path):
    samples = datasets.load(people).samples.assign(mask=None)
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in people.glob("?.png"):
        shutil.copy(path, bare)
    datasets.save(datasets.Dataset(bare, "bare", {"hat": ("no", "yes")}, {}, samples), bare)
    with pytest.raises(InputError, match="has no masks in split test, so nobody can be hidden"):
        hide_folder(bare, tmp_path / "out")


def test_only_what_was_written_is_replaced(people, tmp_path):
    other = tmp_path / "precious"
    other.mkdir()
    (other / "README.txt").write_text("mine")
    with pytest.raises(InputError, match=f"holds no {MARKER}"):
        hide_folder(people, other, overwrite=True)
    hide_folder(people, tmp_path / "out")
    hide_folder(people, tmp_path / "out", overwrite=True, size=8)
    assert datasets.read_image(tmp_path / "out" / "images/whole/0001.png").size == (8, 8)


def test_the_command(run_cli, world, tmp_path: Path):
    made = run_cli("data", "hide", world, tmp_path / "out", "--size", 16)
    assert made.code == 0
    assert ", hidden 18, person 18)" in made.out
    refused = run_cli("data", "hide", world, tmp_path / "out")
    assert refused.code == 2
    assert "is not empty" in refused.err
