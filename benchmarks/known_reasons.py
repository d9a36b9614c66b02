"""Which measure tells an answer that holds from one that turns with the surroundings.

    python benchmarks/known_reasons.py -o FOLDER [--quick] [--seeds 0,1] [--networks …] [--worlds …]

Draws worlds in which the cause of an image's group is known (`fairvision data reasons`), two with
a bias (`fairvision data scenes`), and worlds of hats and marks, for networks whose weights are set
by hand (`hand_set.py`) and others; trains every network in every world, with every seed. Of each
image that is answered right it is then known, by drawing the same person in all other surroundings
and asking again, whether the answer holds. That is compared with what each measure says of the
image: every attribution with every measure of localisation, the person hidden and alone, leaning,
swapped surroundings. The tables of docs/validity.md are printed, and written to FOLDER/tables.md.

Everything is kept: called again with the same output it goes on where it stopped, and computes what
is new, such as an attribution method that was added. `--quick` is a small part, in two minutes.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from hand_set import REASONS, ModuleModel, draw_hand_set, hand_set, hand_set_scenes
from PIL import Image
from sklearn.metrics import roc_auc_score
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

import fairvision
from fairvision import datasets, metrics, models
from fairvision.attribution import METHODS, WITHOUT_GRADIENTS, attribute
from fairvision.auditing.collect import collect
from fairvision.auditing.leaning import lean
from fairvision.auditing.swaps import plan, swap
from fairvision.core.files import whole_file
from fairvision.datasets import FILLS, Dataset, draw_scene, redraw
from fairvision.datasets.batching import image_tensor
from fairvision.datasets.readers.reasons import CAUSES
from fairvision.datasets.readers.scenes import CONTEXTS_PER_GROUP
from fairvision.datasets.regions import empty_regions
from fairvision.errors import FairvisionWarning, InputError
from fairvision.models import Model
from fairvision.runs.model import as_model
from fairvision.schema import Schema

Values = npt.NDArray[np.floating]

NETWORKS = {"lecture_cnn": 3, "small_cnn": 5, "mobilenet_v2": 7, "resnet18": 2, "vit": 6}
"""Networks, and in how many epochs each learns most worlds."""
HAND_SET, RANDOM, BY_HAT = "hand-set", "random weights", " by hat or mark"
BIASES = {"bias .95": 0.95, "bias .75": 0.75}
WORLDS = (*CAUSES, *BIASES, f"person{BY_HAT}", f"mixture{BY_HAT}")
CHEAPER: dict[str, dict[str, Any]] = {  # than the defaults: images have 48 pixels
    "integrated_gradients": {"steps": 20},
    "gradient_shap": {"samples": 10},
    "rise": {"masks": 150},
}
SLOW = (*WITHOUT_GRADIENTS, *CHEAPER)  # of half of the images
RANDOM_MAPS, SWAPPED = "random maps", "swapped"
SHARE_OF_SWAPS = f"{SWAPPED}, share"
LEAST_ACCURACY = 0.7  # a network that has not learnt its world has no reason to speak of
LEAST_IMAGES = 5
THRESHOLDS = (0.5, 0.75, 0.875, 1.0)


@dataclass(frozen=True)
class Sizes:
    """How much is computed."""

    size: int = 48
    count: int = 1000
    longer: int = 1  # times as many epochs
    audited: int = 140
    explained: int = 24
    swaps: int = 8


QUICK = Sizes(count=400, longer=3, audited=60, explained=8)


@dataclass(frozen=True)
class Cell:
    """A network in a world, with a seed; what is computed of it lies in its folder."""

    folder: Path
    world: str
    network: str
    seed: int
    sizes: Sizes

    @property
    def data(self) -> Path:
        """The folder of the world's images."""
        return self.folder / "data" / f"{self.hand_set or self.world}-{self.seed}"

    @property
    def hand_set(self) -> str:
        """The world of hats and marks, for networks that are set by hand or trained; or ""."""
        if self.world == HAND_SET:
            return f"{self.network}{BY_HAT}"
        return self.world if self.world.endswith(BY_HAT) else ""

    @property
    def results(self) -> Path:
        """The folder of what is computed."""
        return self.folder / "cells" / f"{self.world}-{self.network}-{self.seed}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--worlds", default=",".join(WORLDS))
    parser.add_argument("--methods", default=",".join(METHODS))
    given = parser.parse_args()
    chosen = {name: getattr(given, name).split(",") for name in ("networks", "worlds", "methods")}
    seeds = [int(seed) for seed in given.seeds.split(",")]
    chosen["methods"] = [method for method in chosen["methods"] if method]
    sizes = QUICK if given.quick else Sizes()
    if given.quick:
        seeds, chosen["networks"] = seeds[:1], ["small_cnn"]
        chosen["worlds"] = ["person", "surroundings", "bias .75"]
    print(run(given.output, sizes, seeds=seeds, say=print, **chosen))


def run(
    folder: Path,
    sizes: Sizes,
    *,
    networks: Sequence[str] = tuple(NETWORKS),
    worlds: Sequence[str] = WORLDS,
    methods: Sequence[str] = METHODS,
    seeds: Sequence[int] = (0,),
    say: Callable[[str], None] = lambda _: None,
) -> str:
    """Compute what is missing, and return the tables."""
    os.environ.setdefault("FAIRVISION_CACHE", str(folder / "cache"))
    warnings.simplefilter("ignore", FairvisionWarning)
    if "vit" not in models.names():
        models.register("vit", vision_transformer, size=sizes.size, keeps_small_images=True)
    parts: dict[str, Callable[[Cell], pd.DataFrame]] = {
        "known": known,
        "asked": asked,
        "swaps": swapped,
    }
    parts |= {method: partial(explained, method) for method in methods}
    parts[RANDOM_MAPS] = random_maps
    done: list[Cell] = []
    for seed in seeds:
        cells = [Cell(folder, HAND_SET, reason, seed, sizes) for reason in REASONS]
        cells += [Cell(folder, next(iter(BIASES)), RANDOM, seed, sizes)]
        cells += [Cell(folder, w, n, seed, sizes) for w, n in product(worlds, networks)]
        for cell, (part, compute) in product(cells, parts.items()):
            path = cell.results / f"{part}.csv"
            if not path.exists() and is_wanted(cell, part):
                say(f"{part}: {cell.world}, {cell.network}, seed {seed}")
                path.parent.mkdir(parents=True, exist_ok=True)
                with whole_file(path) as unfinished:
                    compute(cell).to_csv(unfinished, index=False)
        done += cells
        tables = "\n\n".join(make_tables(done))
        (folder / "tables.md").write_text(tables)
    return tables


def is_wanted(cell: Cell, part: str) -> bool:
    """Return whether a part is computed: maps only of networks that have learnt their world."""
    if part in ("known", "asked", "swaps"):
        return True
    return bool(pd.read_csv(cell.results / "known.csv")["right"].mean() >= LEAST_ACCURACY)


def vision_transformer(size: int) -> nn.Module:
    """Return a vision transformer that is small enough to be trained from nothing."""
    network: nn.Module = VisionTransformer(
        img_size=size, patch_size=8, embed_dim=128, depth=4, num_heads=4, num_classes=0
    )
    return network


# ------------------------------------------------------------------------- worlds and networks


def world(cell: Cell) -> Dataset:
    """Return the images of a cell's world; they are drawn if they are not there."""
    if cell.data.exists():
        return datasets.load(cell.data)
    cell.data.parent.mkdir(parents=True, exist_ok=True)
    sizes = cell.sizes
    drawn: dict[str, Any] = {"count": sizes.count, "seed": cell.seed, "size": sizes.size}
    drawn["test_fraction"] = sizes.audited / sizes.count
    if cell.hand_set:
        return hand_set_scenes(cell.data, cell.hand_set.removesuffix(BY_HAT), **drawn)
    if cell.world in BIASES:
        return datasets.scenes(cell.data, bias=BIASES[cell.world], **drawn)
    return datasets.reasons(cell.data, cause=cell.world, **drawn)


@lru_cache(maxsize=1)
def audited(cell: Cell) -> tuple[Dataset, str]:
    """Return the images that are audited, and the attribute."""
    dataset = world(cell).split("test")
    return dataset, next(iter(dataset.attributes))


@lru_cache(maxsize=1)
def model_of(cell: Cell) -> Model:
    """Return the network of a cell; it is trained if it is not there."""
    if cell.world == HAND_SET:
        return hand_set(cell.network, 2, cell.sizes.size)
    dataset, attribute_name = audited(cell)
    if cell.network == RANDOM:
        return untrained(dataset, attribute_name, cell)
    folder = cell.results / "run"
    if not (folder / "model.safetensors").exists():
        fairvision.train(
            cell.data,
            output=folder,
            attribute=(attribute_name,),
            model=cell.network,
            size=cell.sizes.size,
            epochs=NETWORKS[cell.network] * cell.sizes.longer,
            lr=0.001,
            batch_size=16,
            augment=False,
            seed=cell.seed,
            device="cpu",
            quiet=True,
            overwrite=True,
        )
    return as_model(folder)


def untrained(dataset: Dataset, attribute_name: str, cell: Cell) -> Model:
    """Return a network of random weights, also in its head."""
    schema = Schema({attribute_name: dataset.attributes[attribute_name]})
    with torch.random.fork_rng():
        torch.manual_seed(cell.seed)
        network = models.build("small_cnn", {attribute_name: 2}, size=cell.sizes.size)
        nn.init.normal_(network.heads[0].get_parameter("weight"))
    return ModuleModel(RANDOM, network.eval(), schema, cell.sizes.size)


def drawer(cell: Cell) -> Callable[..., Image.Image]:
    """Return the function that draws an image of a world again, with something else in it."""
    size = cell.sizes.size

    def draw(row: Mapping[str, Any], **changed: str) -> Image.Image:
        scene = {**row, **changed}
        if cell.hand_set:
            return draw_hand_set(scene, size)[0]
        if cell.world in BIASES:
            seed = f"{cell.seed}/{row['id']}"
            return draw_scene(scene["shirt"], scene["context"], size, seed)[0]
        return redraw(row, size, **changed)[0]

    return draw


# ------------------------------------------------------------------------- what is known


def known(cell: Cell) -> pd.DataFrame:
    """Return for each audited image whether the answer is right, and in how many surroundings.

    Returns
    -------
    columns `right`; `truth`, the share of the surroundings `elsewhere` in which the answer stays,
    by drawing the image in each of them; `everywhere`, whether it stays in all of them
    """
    model = model_of(cell)
    dataset, head = audited(cell)
    rows: list[Any] = dataset.samples.to_dict("records")
    codes, draw = dataset.codes(head), drawer(cell)
    answers = answered(model, head, [draw(row) for row in rows])
    truth = np.full(len(rows), np.nan)
    for group in np.unique(codes):
        of_group = np.flatnonzero(codes == group)
        stays = [
            answered(model, head, [draw(rows[i], **changed) for i in of_group]) == answers[of_group]
            for changed in elsewhere(dataset, int(group))
        ]
        truth[of_group] = np.mean(stays, axis=0)
    return pd.DataFrame({"right": answers == codes, "truth": truth, "everywhere": truth == 1})


def elsewhere(dataset: Dataset, group: int) -> list[dict[str, str]]:
    """Return the surroundings that stand for other groups than one.

    These are their places; where there is an object or a mark, those of other groups in any place.
    """
    places = dataset.tasks["context"].labels
    for part in ("object", "watermark"):
        if part in dataset.tasks:
            others = [label for i, label in enumerate(dataset.tasks[part].labels) if i != group]
            return [{"context": place, part: other} for place in places for other in others]
    return [{"context": p} for i, p in enumerate(places) if i // CONTEXTS_PER_GROUP != group]


def answered(model: Model, head: str, images: Iterable[Image.Image]) -> npt.NDArray[np.int64]:
    """Return a model's answers for images, as codes."""
    tensor = torch.stack([image_tensor(image, model.size) for image in images])
    scores = [model.predict(part)[head] for part in torch.split(tensor, 64)]
    return torch.cat(scores).argmax(dim=1).numpy()


# ------------------------------------------------------------------------- what measures say


def asked(cell: Cell) -> pd.DataFrame:
    """Return what the model says of the whole, with the person hidden, alone, and leaning."""
    model = model_of(cell)
    dataset, head = audited(cell)
    columns = pd.DataFrame()
    samples = collect(model, dataset, batch_size=64).scores
    of = partial(of_truth, dataset, head)
    columns["probability"] = of("score", samples)
    columns["person alone"] = of("person", samples)
    columns["person hidden"] = 1 - of("hidden", samples)
    things = lean(model, dataset, empty_regions(), batch_size=64)
    person, context = (
        things[things["label"] == label].reset_index(drop=True) for label in ("person", "context")
    )
    columns["leaning on the person"] = of("control", person) - of("hidden", person)
    columns["leaning on the context"] = of("hidden", context) - columns["probability"]
    return columns


def swapped(cell: Cell) -> pd.DataFrame:
    """Return the mean probability of the true group over swapped surroundings, and `holds`."""
    model = model_of(cell)
    dataset, head = audited(cell)
    samples = collect(model, dataset, batch_size=64)
    donors = plan(dataset, swaps=cell.sizes.swaps, seed=cell.seed)
    table = swap(model, samples, donors, method=FILLS[0], batch_size=64)
    scores = of_truth(dataset, head, "swapped", table)
    return pd.DataFrame({f"{SWAPPED}, probability": scores, SHARE_OF_SWAPS: table[f"holds/{head}"]})


def of_truth(dataset: Dataset, head: str, kind: str, table: pd.DataFrame) -> Values:
    """Return from the columns of all groups that of each image's true group."""
    scores = table[[f"{kind}/{head}/{group}" for group in dataset.attributes[head]]].to_numpy()
    chosen: Values = scores[np.arange(len(scores)), dataset.codes(head)]
    return chosen


def explained(method: str, cell: Cell) -> pd.DataFrame:
    """Return the measures of localisation of one attribution, of the first right answers."""
    model = model_of(cell)
    assert model.module is not None
    dataset, head = audited(cell)
    rows = explained_rows(cell)
    if method in SLOW:
        rows = rows[: -(-len(rows) // 2)]
    images, masks = pixels(dataset, rows, cell.sizes.size)
    targets = torch.from_numpy(dataset.codes(head)[rows])
    try:
        options = CHEAPER.get(method, {})
        maps = attribute(model.module, images, targets, method, head=head, **options)
    except InputError:  # a network without layers that have positions
        maps = torch.full(masks.shape, torch.nan)
    return localised(cell, rows, maps, masks)


def random_maps(cell: Cell) -> pd.DataFrame:
    """Return the measures of localisation of maps that are noise."""
    dataset, _ = audited(cell)
    rows = explained_rows(cell)
    _, masks = pixels(dataset, rows, cell.sizes.size)
    chance = torch.Generator().manual_seed(cell.seed)
    return localised(cell, rows, torch.rand(masks.shape, generator=chance), masks)


def explained_rows(cell: Cell) -> npt.NDArray[np.int64]:
    """Return the images whose maps are looked at: the first that are answered right."""
    right = pd.read_csv(cell.results / "known.csv")["right"].to_numpy(bool)
    return np.flatnonzero(right)[: cell.sizes.explained]


def pixels(dataset: Dataset, rows: npt.NDArray[np.int64], size: int) -> tuple[Tensor, Tensor]:
    """Return images (n, 3, size, size) and masks (n, size, size)."""
    taken = datasets.open_pixels(dataset, size).take(rows)
    images = torch.as_tensor(taken.images).permute(0, 3, 1, 2).float() / 255
    return images, torch.as_tensor(taken.masks) > 0


def localised(cell: Cell, rows: npt.NDArray[np.int64], maps: Tensor, masks: Tensor) -> pd.DataFrame:
    """Return every measure of maps, a row per audited image, NaN where there is no map."""
    measured = {name: values.numpy() for name, values in metrics.localisation(maps, masks).items()}
    chance = measured.pop("chance_level")
    lifts = ("pointing_game", "relevance_mass")
    measured |= {f"{name}_lift": measured[name] - chance for name in lifts}
    table = pd.DataFrame(np.nan, np.arange(len(audited(cell)[0])), [*measured])
    table.loc[rows] = pd.DataFrame(measured, index=rows)
    return table


# ------------------------------------------------------------------------- tables

SHARES: dict[str, Callable[[Values], npt.NDArray[Any]]] = {
    "person alone": lambda p: p > 0.5,
    "person hidden": lambda p: p > 0.5,
    "leaning on the person": lambda p: p > 0,
    "leaning on the context": lambda p: p > -0.5,
    f"{SWAPPED}, probability": lambda p: p,
    SHARE_OF_SWAPS: lambda p: p,
    **{name: lambda p: p for name in ("pointing_game", "relevance_mass", "relevance_rank")},
    **{name: lambda p: p for name in ("top_k_intersection", "evidence_auc")},
    "area_weighted_localisation": lambda p: p > 1,
    **{f"{name}_lift": lambda p: p > 0 for name in ("pointing_game", "relevance_mass")},
}
"""What share of right answers a measure says to hold, by its value for each of them."""


def make_tables(cells: Sequence[Cell]) -> list[str]:
    """Return the tables of docs/validity.md as Markdown."""
    images = pd.concat([of_cell(cell) for cell in cells], ignore_index=True)
    accuracy = images.groupby("cell")["right"].transform("mean")
    right = images[images["right"] & (accuracy >= LEAST_ACCURACY)]
    on_maps = right[right[f"{RANDOM_MAPS}, pointing_game"].notna()]
    asking = of_scores(right, [name for name in map(str, right) if name in SHARES])
    maps = of_scores(on_maps, [name for name in map(str, right) if ", " in name])
    maps[["attribution", "measure"]] = maps["score"].str.split(", ", expand=True).to_numpy()
    of_attributions = maps[maps["attribution"] != SWAPPED]
    best = by(of_attributions, "attribution", "measure", "AUC")[_measures(of_attributions)]
    winners = best.dropna(how="all").idxmax(axis=1)
    named = [f"{row}, {measure}" for row, measure in winners.items()]
    named += [name for name in SHARES if name.startswith(SWAPPED)]
    titled = {
        "AUC of what asks the model": by(asking, "score", "network", "AUC"),
        "AUC within worlds, of what asks the model": by(asking, "score", "network", "within"),
        "Error of the share, of what asks the model": by(asking, "score", "network", "error"),
        "AUC of maps, mean over networks": best,
        "AUC of the best measure of each attribution, and of swaps, on the same images": by(
            maps, "score", "network", "AUC"
        ).loc[named],
        "AUC within worlds, of these": by(maps, "score", "network", "within").loc[named],
        "Error of the share, of maps": by(of_attributions, "attribution", "measure", "error"),
        "Rules for 'right and holds'": of_rules(right),
        "Worlds": of_worlds(images),
    }
    return [f"{title}:\n\n{markdown(table)}" for title, table in titled.items() if len(table)]


def of_scores(images: pd.DataFrame, scores: Sequence[str]) -> pd.DataFrame:
    """Return what `of_score` does for several scores."""
    return pd.concat([of_score(images, score) for score in scores], ignore_index=True)


def by(figures: pd.DataFrame, index: str, columns: str, values: str) -> pd.DataFrame:
    """Return means of a figure, by two of its keys, in the order in which they come."""
    table = figures.pivot_table(index=index, columns=columns, values=values, dropna=False)
    return table.reindex(index=figures[index].unique(), columns=figures[columns].unique())


def of_cell(cell: Cell) -> pd.DataFrame:
    """Return all that is known and said of the images of a cell, a row each; at first none."""
    tables = {path.stem: path for path in sorted(cell.results.glob("*.csv"))}
    if "known" not in tables:
        return pd.DataFrame()
    plain = [tables.pop(name) for name in ("known", "asked", "swaps") if name in tables]
    parts = [pd.read_csv(path) for path in plain]
    parts += [pd.read_csv(path).add_prefix(f"{name}, ") for name, path in tables.items()]
    network = HAND_SET if cell.world == HAND_SET else cell.network
    return (
        pd.concat(parts, axis=1)
        .copy()
        .assign(world=cell.world, network=network, seed=cell.seed, cell=str(cell.results))
    )


def of_score(images: pd.DataFrame, score: str) -> pd.DataFrame:
    """Return AUC and error of a score, a row per network and seed.

    Returns
    -------
    columns `score`, `network`, `seed`; `AUC` of telling answers that hold everywhere from the
    others, over all worlds; `within`, the mean of that over worlds; `error`, the mean
    over worlds of the absolute difference between the share that it says to hold and the true one
    """
    share = SHARES[score if score in SHARES else _measure(score)]
    rows = []
    for (network, seed), of_network in images.groupby(["network", "seed"], sort=False):
        valid = of_network[of_network[score].notna()]
        within, errors = [], []
        for _, of_world in valid.groupby("cell"):
            if not np.isnan(in_world := auc(of_world, score)):
                within.append(in_world)
            values = np.asarray(share(of_world[score].to_numpy()), float)
            errors.append(abs(values.mean() - of_world["truth"].mean()))
        rows.append(
            {
                "score": score,
                "network": network,
                "seed": seed,
                "AUC": auc(valid, score),
                "within": np.mean(within) if within else np.nan,
                "error": np.mean(errors) if errors else np.nan,
            }
        )
    return pd.DataFrame(rows)


def auc(images: pd.DataFrame, score: str) -> float:
    """Return the AUC of a score for `everywhere`; NaN where fewer than five hold, or turn."""
    if min(images["everywhere"].sum(), (~images["everywhere"]).sum()) < LEAST_IMAGES:
        return float("nan")
    return float(roc_auc_score(images["everywhere"], images[score]))


def of_rules(right: pd.DataFrame) -> pd.DataFrame:
    """Compare shares of swaps from which on a right answer is said to hold, on all right answers.

    Returns
    -------
    by the share: of the answers that hold everywhere, how many are said to (`kept`); of those that
    do not, how many are said not to (`refused`); the mean of both; and the mean over cells of the
    absolute difference between the shares said and known
    """
    if SHARE_OF_SWAPS not in right:
        return pd.DataFrame()
    valid = right[right[SHARE_OF_SWAPS].notna() & (right["network"] != RANDOM)]
    rows = {}
    for threshold in THRESHOLDS:
        said = valid[SHARE_OF_SWAPS] >= threshold - 1e-9
        kept = said[valid["everywhere"]].mean()
        refused = 1 - said[~valid["everywhere"]].mean()
        means = valid.assign(said=said).groupby("cell")[["said", "everywhere"]].mean()
        off = (means["said"] - means["everywhere"]).abs().mean()
        rows[threshold] = {
            "kept": kept,
            "refused": refused,
            "balanced": (kept + refused) / 2,
            "error of the share": off,
            "n": len(valid),
        }
    return pd.DataFrame(rows).T.rename_axis("at least")


def of_worlds(images: pd.DataFrame) -> pd.DataFrame:
    """Return accuracy and the true share of right answers that hold, by world and network."""
    columns = {"accuracy": ("right", "mean"), "images": ("right", "size")}
    cells = images.groupby(["world", "network"], sort=False).agg(**columns)
    right = images[images["right"]].groupby(["world", "network"], sort=False)
    cells["holds"] = right["truth"].mean()
    cells["holds everywhere"] = right["everywhere"].mean()
    if SHARE_OF_SWAPS in images:
        cells["holds, by swaps"] = right[SHARE_OF_SWAPS].mean()
    return cells


def _measure(score: str) -> str:
    """Return the measure of localisation in the name of a column."""
    return score.rpartition(", ")[2]


def _measures(maps: pd.DataFrame) -> list[str]:
    """Return the measures of localisation in the order of their mean AUC."""
    return [*maps.groupby("measure")["AUC"].mean().sort_values(ascending=False).index]


def markdown(table: pd.DataFrame) -> str:
    """Return a table as Markdown, with two decimals."""
    flat = table.reset_index()
    lines = [[*map(str, flat)], ["---"] * flat.shape[1]]
    for row in flat.itertuples(index=False):
        lines.append([_text(value) for value in row])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _text(value: Any) -> str:
    """Return a cell: whole numbers as they are, others with two decimals, "–" for NaN."""
    if isinstance(value, str):
        return value
    if np.isnan(value):
        return "–"
    return f"{value:.0f}" if value == round(value) and abs(value) > 1 else f"{value:.2f}"


if __name__ == "__main__":
    main()
