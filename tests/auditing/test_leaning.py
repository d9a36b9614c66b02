"""Leaning: networks that look at one place only, for which every figure is known."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fairvision import datasets
from fairvision.auditing import audit
from fairvision.auditing.leaning import lean
from fairvision.auditing.leaning_figures import figures, warnings
from fairvision.datasets import Dataset, Task
from fairvision.datasets.regions import SIDES, box_mask
from fairvision.errors import InputError
from fairvision.results.leaning import ranked
from fairvision.schema import Schema

pytestmark = pytest.mark.filterwarnings("ignore::fairvision.errors.FairvisionWarning")
SIZE = 20
PLACES = {
    "tie": (0.1, 0.1, 0.3, 0.3),
    "cup": (0.6, 0.1, 0.8, 0.3),
    "kite": (0.1, 0.7, 0.3, 0.9),
}
PERSON = (0.4, 0.4, 0.6, 0.9)


def draw_world(folder, n=40, *, objects=("tie", "cup"), people=True, seed=0):
    """Write grey images: the tie's brightness tells the group, the others are noise."""
    random = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    person = box_mask(np.array([PERSON]), SIZE)
    rows, regions = [], []
    for i in range(n):
        group = ["a", "b", None][2 if i % 10 == 9 else i % 2]
        image = np.full((SIZE, SIZE, 3), 100, np.uint8)
        image[person] = random.integers(110, 256)
        for label in objects:
            place = box_mask(np.array([PLACES[label]]), SIZE)
            image[place] = {"a": 230, "b": 30}.get(group, 90) if label == "tie" else 180
            regions.append((f"p{i}", "objects", label, *PLACES[label]))
        Image.fromarray(image).save(folder / "images" / f"{i}.png")
        Image.fromarray(person).save(folder / "masks" / f"{i}.png")
        mask = f"masks/{i}.png" if people and i % 4 else None
        rows.append((f"p{i}", f"images/{i}.png", mask, "test", group, tuple(objects)))
    columns = ["id", "image", "mask", "split", "group", "objects"]
    samples = pd.DataFrame(rows, columns=columns).astype(object).where(lambda t: t.notna(), None)
    world = Dataset(
        folder, "world", {"group": ("a", "b")}, {"objects": Task(tuple(PLACES), many=True)}, samples
    )
    datasets.save(world, folder)
    if objects:
        datasets.save_regions(pd.DataFrame(regions, columns=["id", "task", "label", *SIDES]), world)
    return datasets.load(folder)


class Looks:
    """A model without gradients: a place's mean brightness says how likely group a is."""

    name, size, device, module = "it", SIZE, torch.device("cpu"), None

    def __init__(self, box, *, towards=0, groups=("a", "b"), attribute="group"):
        self.place = torch.from_numpy(box_mask(np.array([box]), SIZE))
        self.towards = towards
        self.schema = Schema({attribute: groups})
        self.sizes = []

    def predict(self, images):
        self.sizes.append(len(images))
        bright = images[:, :, self.place].mean(dim=(1, 2))
        return {"group": torch.stack([bright, 1 - bright][:: -1 if self.towards else 1], dim=1)}


def ask(world, model, **options):
    return lean(model, world, datasets.read_regions(world), **options)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return draw_world(tmp_path_factory.mktemp("leaning") / "world")


def numbers(table, metric, label, group="", model="it"):
    keys = ["model", "metric", "label", "group"]
    found = table[(table[keys] == [model, metric, label, group]).all(axis=1)]
    assert len(found) == 1
    return found.iloc[0]


def test_the_only_place_that_counts_leads_the_list(world):
    table = figures({"it": ask(world, Looks(PLACES["tie"]))}, world.attributes, replicates=200)
    order = ranked(table, "it", "group")
    assert order["label"].tolist()[0] == "tie"
    assert order["label"].tolist()[-1] == "context"
    assert order["shown"].tolist()[0]
    assert order["n"].tolist()[0] == 36
    for label in ("person", "cup"):
        change = numbers(table, "leaning_change", label)
        assert (change["value"], change["low"]) == (0, 0)
        assert numbers(table, "leaning_flips", label)["value"] == 0
    context = order.iloc[-1]
    assert np.isnan(context["leaning"])
    assert context["n"] == 0
    assert context["change"] < -0.2


def test_figures_in_closed_form(world):
    """With the tie hidden its place has the mean colour of the rest."""
    table = figures({"it": ask(world, Looks(PLACES["tie"]))}, world.attributes, replicates=50)
    tie = box_mask(np.array([PLACES["tie"]]), SIZE)
    change, by_group, flips, toward = [], {"a": [], "b": []}, [], []
    for row in world.samples[world.samples["group"].notna()].to_dict("records"):
        image = np.asarray(datasets.read_image(world.root / row["image"])) / 255
        before, after = image[tie].mean(), image[~tie].mean()
        sign = 1 if row["group"] == "a" else -1
        change.append(sign * (after - before))
        by_group[row["group"]].append(change[-1])
        flips.append((before > 0.5) != (after > 0.5))
        toward.append(before - after)
    found = numbers(table, "leaning_change", "tie")
    assert found["value"] == pytest.approx(np.mean(change), abs=1e-6)
    assert found["n"] == len(change) == 36
    for group, values in by_group.items():
        found = numbers(table, "leaning_change", "tie", group)
        assert found["value"] == pytest.approx(np.mean(values), abs=1e-6)
        assert found["n"] == len(values)
    assert numbers(table, "leaning_flips", "tie")["value"] == pytest.approx(np.mean(flips))
    # the controls of the tie are off the tie, so they change nothing
    assert numbers(table, "leaning_control", "tie")["value"] == 0
    assert numbers(table, "leaning_control_flips", "tie")["value"] == 0
    assert numbers(table, "leaning", "tie")["value"] == pytest.approx(-np.mean(change), abs=1e-6)
    assert numbers(table, "leaning_answer", "tie")["value"] == pytest.approx(
        -np.mean(change), abs=1e-6
    )
    for group, sign in (("a", 1), ("b", -1)):
        found = numbers(table, "leaning_toward", "tie", group)
        assert found["value"] == pytest.approx(sign * np.mean(toward), abs=1e-6)


def test_changes_of_groups_add_up_to_nothing(world):
    table = figures({"it": ask(world, Looks((0, 0, 1, 1)))}, world.attributes, replicates=10)
    both = table[table["metric"] == "leaning_toward"].groupby("label")["value"].sum(min_count=2)
    assert both.dropna().tolist() == pytest.approx([0] * both.notna().sum(), abs=1e-6)
    parts = table[table["group"] == ""].pivot_table("value", "label", "metric", dropna=False)
    expected = parts["leaning_control"] - parts["leaning_change"]
    there = parts["leaning"].notna()
    assert there.sum() == 3
    np.testing.assert_allclose(parts["leaning"][there], expected[there], atol=1e-6)


def test_the_person_stays_visible_in_a_box_around_it(tmp_path):
    world = draw_world(tmp_path / "w", objects=())
    box = dict(zip(SIDES, (0.0, 0.3, 1.0, 1.0)))
    rows = [{"id": i, "label": "kite", **box} for i in world.samples["id"]]
    datasets.save_regions(pd.DataFrame(rows), world)
    table = ask(world, Looks(PERSON))
    whole, kite = (table[table["label"] == label].set_index("id") for label in ("", "kite"))
    masked = world.samples.set_index("id")["mask"].notna()[kite.index]
    same = np.isclose(kite["hidden/group/a"], whole["hidden/group/a"][kite.index], atol=1e-6)
    assert (same == masked).all()
    person = box_mask(np.array([PERSON]), SIZE)
    assert kite["hidden_share"][masked].unique() == pytest.approx([14 / 20 - person.mean()])


def test_what_lies_behind_the_person_cannot_be_hidden(tmp_path):
    world = draw_world(tmp_path / "w", objects=())
    rows = [{"id": i, "label": "kite", **dict(zip(SIDES, PERSON))} for i in world.samples["id"]]
    datasets.save_regions(pd.DataFrame(rows), world)
    table = ask(world, Looks(PERSON))
    kite = table[table["label"] == "kite"].set_index("id")
    masked = world.samples.set_index("id")["mask"].notna()[kite.index]
    assert (kite["hidden/group/a"].isna() == masked).all()
    assert (kite["hidden_share"][masked] == 0).all()
    found = numbers(
        figures({"it": table}, world.attributes, replicates=9), "leaning_change", "kite"
    )
    assert found["n"] == (~masked).sum()


def test_batches_change_nothing_and_bound_what_is_asked_at_once(world):
    tables = []
    for batch_size in (1, 7, 64):
        network = Looks((0, 0, 1, 1))
        tables.append(ask(world, network, batch_size=batch_size))
        assert max(network.sizes) <= max(2, batch_size)
    for table in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], table, atol=1e-6)


def test_controls_follow_the_seed_only(world):
    first, again, other = (
        ask(world, Looks((0, 0, 0.5, 0.5)), seed=seed)["control/group/a"] for seed in (1, 1, 2)
    )
    pd.testing.assert_series_equal(first, again)
    assert (first - other).abs().max() > 0.01


def test_controls_are_of_the_same_area_and_off_the_thing(world):
    table = ask(world, Looks(PLACES["tie"]))
    objects = table[table["task"] == "objects"]
    assert (objects["control_share"] >= 0.9 * objects["hidden_share"]).all()
    assert (objects["control_share"] <= objects["hidden_share"]).all()
    tie = objects[objects["label"] == "tie"].set_index("id")
    whole = table[table["label"] == ""].set_index("id")
    np.testing.assert_allclose(
        tie["control/group/a"], whole["hidden/group/a"][tie.index], atol=1e-6
    )
    assert table.loc[table["label"] == "context", "control/group/a"].isna().all()


def test_only_what_is_known_is_asked(tmp_path):
    world = draw_world(tmp_path / "w", objects=("tie",), people=False)
    network = Looks(PLACES["tie"])
    table = ask(world, network)
    assert set(table["label"]) == {"", "tie"}
    assert table["id"].nunique() == 36
    assert sum(network.sizes) == 36 * 3
    assert table["group"].notna().all()
    alone = lean(network, world, datasets.read_regions(world).iloc[:0])
    assert set(alone["label"]) == {""}
    assert len(figures({"it": alone}, world.attributes)) == 0
    people = draw_world(tmp_path / "v", objects=())
    table = ask(people, network)
    assert set(table["label"]) == {"", "person", "context"}


def test_the_order_of_the_groups_is_the_datasets(world):
    straight = ask(world, Looks(PLACES["tie"]))
    turned = ask(world, Looks(PLACES["tie"], towards=1, groups=("b", "a")))
    pd.testing.assert_frame_equal(straight, turned)


def test_a_run_of_other_attributes_is_refused(world):
    with pytest.raises(InputError, match="predicts no attribute of dataset"):
        ask(world, Looks(PLACES["tie"], attribute="age"))


def test_models_are_compared_on_the_same_images(world):
    tables = {name: ask(world, Looks(PLACES[name])) for name in ("tie", "cup")}
    table = figures(tables, world.attributes, replicates=100)
    for label in ("tie", "cup", "person"):
        a, b = (numbers(table, "leaning", label, model=name)["value"] for name in ("tie", "cup"))
        found = numbers(table, "leaning", label, model="cup - tie")
        assert found["value"] == pytest.approx(b - a)
        assert found["low"] <= found["value"] <= found["high"]
    same = figures({"A": tables["tie"], "B": tables["tie"]}, world.attributes, replicates=100)
    differences = same[(same["model"] == "B - A") & (same["n"] > 0)]
    assert (differences[["value", "low", "high"]] == 0).all().all()
    gone = tables["cup"].copy()
    lost = (gone["label"] == "cup") & gone["id"].isin(["p1", "p2"])
    gone.loc[lost, ["hidden/group/a", "hidden/group/b"]] = np.nan
    table = figures({"A": tables["tie"], "B": gone}, world.attributes, replicates=10)
    assert set(table.loc[(table["label"] == "cup") & (table["group"] == ""), "n"]) >= {34}
    assert numbers(table, "leaning", "cup", model="A")["n"] == 34


def test_tables_of_different_things_are_refused(world):
    table = ask(world, Looks(PLACES["tie"]))
    with pytest.raises(InputError, match="B and A were asked about different things"):
        figures({"A": table, "B": table.iloc[:-1]}, world.attributes)


def test_rounding_is_no_change(world):
    table = ask(world, Looks(PLACES["tie"]))
    noisy = table.copy()
    random = np.random.default_rng(0)
    for column in noisy.filter(regex="^(hidden|control)/"):
        noisy[column] = noisy[column] + 3e-6 * random.uniform(-1, 1, len(noisy))
    found = figures({"it": noisy}, world.attributes, replicates=100)
    for metric in ("leaning_change", "leaning_flips"):
        cup = numbers(found, metric, "cup")
        assert (cup["value"], cup["low"]) == (0, 0)


def test_few_images_are_told(tmp_path):
    world = draw_world(tmp_path / "w", n=12)
    regions = datasets.read_regions(world)
    regions = regions[(regions["label"] != "cup") | regions["id"].isin(["p1", "p2", "p3"])]
    table = lean(Looks(PLACES["tie"]), world, regions)
    found = figures({"it": table}, world.attributes, replicates=50)
    assert list(warnings(found)) == [
        "group: 1 of 2 object classes can be hidden, with a control, in fewer than 10 pictures: "
        "what they say of leaning on them is very uncertain"
    ]
    order = ranked(found, "it", "group").set_index("label")
    assert order["few"].to_dict() == {"tie": False, "person": True, "cup": True, "context": True}
    assert not order.loc["cup", "shown"]


def test_the_list_is_the_same_when_it_is_read_back(world, tmp_path):
    found = figures({"it": ask(world, Looks(PLACES["tie"]))}, world.attributes, replicates=50)
    found.to_csv(tmp_path / "metrics.csv", index=False)
    back = pd.read_csv(tmp_path / "metrics.csv")
    pd.testing.assert_frame_equal(
        ranked(found, "it", "group"), ranked(back, "it", "group"), check_dtype=False
    )


def test_the_audit_says_what_runs_lean_on(draw_run, tmp_path):
    folder = tmp_path / "scenes"
    datasets.scenes(folder, count=90, bias=0.8, groups=3, size=32, seed=1)
    runs = [draw_run(tmp_path / name, folder, seed=seed) for seed, name in enumerate("AB")]
    done = audit(runs, output=tmp_path / "audit", replicates=20)
    assert set(done.metrics["model"]) == {"A", "B", "B - A"}
    order = ranked(done.metrics, "A", "shirt")
    assert {"person", "context"} <= set(order["label"])
    assert (order["task"] == "context").sum() >= 4
    stored = pd.read_parquet(tmp_path / "audit" / "B" / "leaning.parquet")
    whole = pd.read_parquet(tmp_path / "audit" / "B" / "samples.parquet").set_index("id")
    asked = stored[stored["label"] == ""].set_index("id")
    for group in ("striped", "dotted", "checked"):
        np.testing.assert_allclose(
            asked[f"hidden/shirt/{group}"], whole[f"score/shirt/{group}"][asked.index], atol=1e-5
        )
    for part, kind in (("person", "hidden"), ("context", "person")):
        some = stored[stored["label"] == part].set_index("id")
        np.testing.assert_allclose(
            some["hidden/shirt/dotted"], whole[f"{kind}/shirt/dotted"][some.index], atol=1e-5
        )
    tables = {name: pd.read_parquet(tmp_path / "audit" / name / "leaning.parquet") for name in "AB"}
    again = figures(tables, datasets.load(folder).attributes, replicates=20)
    kept = done.metrics[done.metrics["metric"].str.startswith("leaning")].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, again)
    assert any("object classes can be hidden" in text for text in done.verdict.warnings)
    off = audit(runs[:1], output=tmp_path / "off", replicates=20, leaning=False)
    assert not off.metrics["metric"].str.startswith("leaning").any()
    assert not (tmp_path / "off" / "A" / "leaning.parquet").exists()
    (folder / "regions.parquet").unlink()
    assert "Not measured: it takes runs" in off.report.read_text()
    plain = audit(runs[:1], output=tmp_path / "plain", replicates=20)
    assert not plain.metrics["metric"].str.startswith("leaning").any()
    parts = audit(runs[:1], output=tmp_path / "parts", replicates=20, leaning=True)
    assert set(ranked(parts.metrics, "A", "shirt")["label"]) == {"person", "context"}


def test_the_command_knows_the_option(run_cli, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("id,g,score/g/a,score/g/b\n1,a,0.5,0.5\n2,b,0.5,0.5\n")
    ended = run_cli("audit", "--predictions", table, "-o", tmp_path / "o", "--leaning")
    assert ended.code == 2
    assert "--leaning is for runs" in ended.err
    assert "--no-leaning" in run_cli("audit", "--help").out


def test_damaged_regions_end_an_audit(draw_run, tmp_path, run_cli):
    folder = tmp_path / "scenes"
    datasets.scenes(folder, count=12, bias=0.5, size=32)
    run = draw_run(tmp_path / "A", folder)
    regions = pd.read_parquet(folder / "regions.parquet")
    regions.assign(left=2.0).to_parquet(folder / "regions.parquet")
    ended = run_cli("audit", run, "-o", tmp_path / "o", "--quiet")
    assert ended.code == 2
    assert "regions.parquet row 1, column 'left': 2.0 is not a share" in ended.err
    assert not (tmp_path / "o").exists()


def test_the_example_of_the_page_runs():
    page = (Path(__file__).parents[2] / "docs" / "leaning.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(example, "docs/leaning.md", "exec"), {})
