"""The run folder: training writes it, the audit reads it."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, TypeVar

import numpy as np
import pandas as pd

from fairvision.core import checksums, shapes
from fairvision.core.files import REPLACED
from fairvision.core.suggestions import did_you_mean
from fairvision.datasets.geometry import Geometry
from fairvision.datasets.pixels import LARGEST_SIDE
from fairvision.errors import InputError, check_file, reading, shown
from fairvision.schema import Schema, Task, parse_schema

if TYPE_CHECKING:
    import torch

    from fairvision.models import Captioner, ImageNetwork, Network, Vocabulary
    from fairvision.models.adapters.captioner_files import CaptionerFiles

CONFIG = "config.json"
BEST = "model.safetensors"
LAST = "last.safetensors"
CHECKPOINT = "last.ckpt"
HISTORY = "history.csv"
VOCABULARY = "vocabulary.json"
CAPTIONER = "captioner.json"
FIRST = "first"

N = TypeVar("N", bound="ImageNetwork")

_COUNT = "train/n/"
AGAIN = "train the run again with --overwrite"
_DOMAINS = shapes.only(
    {"attribute": shapes.text, "groups": shapes.whole(1, 10_000), "rule": shapes.text}
)
_TASK = shapes.table({"labels": shapes.each(shapes.text), "many": shapes.truth})
_CAPTIONS = shapes.only(
    {
        "decoder": shapes.text,
        "vocabulary": shapes.text,
        "tokens": shapes.whole(1, 1_000_000),
        "attribute": shapes.perhaps(shapes.text),
        "words": shapes.named(shapes.each(shapes.text)),
        "longest": shapes.whole(2, 10_000),
    }
)
_SHAPE = shapes.table(
    {
        "method": shapes.text,
        "model": shapes.text,
        "weights": shapes.perhaps(shapes.text),
        "size": shapes.whole(1, LARGEST_SIDE),
        "attributes": shapes.named(shapes.each(shapes.text)),
        "tasks": shapes.named(_TASK),
        "options": shapes.table({}),
        "seed": shapes.whole(),
        "data": shapes.table(
            {"fingerprint": shapes.text}, perhaps={"path": shapes.text, "name": shapes.text}
        ),
    },
    perhaps={
        "domains": shapes.named(_DOMAINS),
        "postprocessing": shapes.perhaps(shapes.text),
        "keep_head": shapes.truth,
        "captions": _CAPTIONS,
        "chosen": shapes.named(shapes.text),
        checksums.KEY: shapes.named(shapes.text),
    },
)
WEIGHTS = {"best": BEST, "last": LAST}


class Captions(TypedDict):
    """What config.json holds of a captioner."""

    decoder: str
    vocabulary: str
    tokens: int
    attribute: str | None
    words: Mapping[str, list[str]]
    longest: int


class Config(TypedDict):
    """What config.json holds: all that is needed to train a run again."""

    method: str
    model: str
    weights: str | None
    size: int
    attributes: Mapping[str, list[str]]
    tasks: Mapping[str, Mapping[str, Any]]
    options: Mapping[str, Any]
    seed: int
    data: Mapping[str, str]
    domains: NotRequired[Mapping[str, Mapping[str, Any]]]
    captions: NotRequired[Captions]
    postprocessing: NotRequired[str | None]
    chosen: NotRequired[Mapping[str, str]]
    sha256: NotRequired[Mapping[str, str]]
    fairvision: NotRequired[str]
    versions: NotRequired[Mapping[str, str]]


class Summary(TypedDict):
    """What a training came to, see `summary`."""

    run: str
    method: str
    model: str
    epochs: int
    best_epoch: int
    best: Mapping[str, float | None]
    training_pictures: int
    pictures: Mapping[str, int]


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes
    ----------
    folder : where it lies
    config : contents of its config.json
    """

    folder: Path
    config: Config

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name

    @property
    def size(self) -> int:
        """Side in pixels of the images that the network takes."""
        return int(self.config["size"])

    @property
    def captions(self) -> Captions | None:
        """How it writes captions; None of a classifier."""
        return self.config.get("captions")

    @property
    def schema(self) -> Schema:
        """The attributes and tasks that the network predicts: its heads, attributes first."""
        return parse_schema(self.folder / CONFIG, self.config)

    @property
    def attributes(self) -> Mapping[str, tuple[str, ...]]:
        """Groups of each attribute that the network predicts."""
        return self.schema.attributes

    @property
    def tasks(self) -> Mapping[str, Task]:
        """Tasks that the network predicts."""
        return self.schema.tasks

    @property
    def heads(self) -> dict[str, tuple[str, ...]]:
        """Groups or labels of each head, attributes first."""
        return self.schema.heads


def load(folder: str | Path) -> Run:
    """Read the description of a finished run.

    Raises
    ------
    InputError
        If the folder is no run, or if its training has not ended, or its config.json is damaged.
    """
    folder = Path(folder)
    config = read_config(folder)
    if not (folder / BEST).is_file():
        before = f"; the run that it is to replace is {folder / REPLACED}"
        raise InputError(
            f"run {folder} is unfinished (no {BEST}): the command that started it continues it "
            f"with --resume{before if (folder / REPLACED).is_dir() else ''}"
        )
    return Run(folder, config)


def as_run(run: Run | str | Path) -> Run:
    """Return a run, loaded if it is given by its folder."""
    return run if isinstance(run, Run) else load(run)


def _why_not(folder: Path) -> str:
    """Return why a path is no run folder, and what may have been meant."""
    if folder.is_file():
        is_table = {".csv", ".tsv", ".parquet"} & {*folder.suffixes}
        return "it is a file" + (", tables are audited by --predictions" if is_table else "")
    if not folder.exists():
        beside = folder.parent.iterdir() if folder.parent.is_dir() else ()
        return f"it does not exist{did_you_mean(folder.name, [path.name for path in beside])}"
    return f"it holds no {CONFIG}"


def read_config(folder: Path) -> Config:
    """Read the config.json of a run, finished or not; `InputError` where it cannot be used."""
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder} is not a run folder: {_why_not(folder)}")
    config: Config = shapes.read(folder / CONFIG, _SHAPE, AGAIN)
    if not parse_schema(folder / CONFIG, config) and "captions" not in config:
        raise InputError(f"{folder / CONFIG} is damaged: it names nothing to predict: {AGAIN}")
    return config


def network(run: Run, device: str | torch.device = "cpu", which: str = "best") -> Network:
    """Return the trained network of a run that predicts attributes and tasks, for evaluation.

    Parameters
    ----------
    run : a finished run
    device : where to put it
    which : "best" by the validation split, or "last"

    Raises
    ------
    InputError
        If the weights are damaged or are not those of the network in config.json; or if the run
        writes captions.
    """
    from fairvision import models

    if run.captions is not None:
        raise InputError(
            f"run {run.folder} writes captions and predicts no labels: `fairvision caption` and "
            "`fairvision audit` take it"
        )
    heads = {name: len(labels) for name, labels in run.heads.items()}
    many = [name for name, task in run.tasks.items() if task.many]
    domains = {
        name: models.Domains(**about) for name, about in run.config.get("domains", {}).items()
    }
    built = models.build(run.config["model"], heads, size=run.size, many=many, domains=domains)
    return _with_weights(built, run, device, which)


def captioner(run: Run, device: str | torch.device = "cpu", which: str = "best") -> Captioner:
    """Return the trained network of a run that writes captions, as `network` does of others.

    Raises
    ------
    InputError
        As `network` does; or if the run writes none.
    """
    from fairvision import models
    from fairvision.models.pretrained_vocabulary import PretrainedVocabulary

    if run.captions is None:
        raise InputError(
            f"run {run.folder} writes no captions: it is trained by `fairvision train --captions`"
        )
    of_run, files = vocabulary(run), captioner_files(run)
    words = run.captions["words"]
    built: Captioner
    if files is not None and isinstance(of_run, PretrainedVocabulary):
        built = files.untrained(of_run, words)
    else:
        built = models.build_captioner(
            run.config["model"], of_run, words, size=run.size, decoder=run.captions["decoder"]
        )
    return _with_weights(built, run, device, which)


def captioner_files(run: Run) -> CaptionerFiles | None:
    """Return what a run says of the captioner of transformers that it is of; None of others."""
    from fairvision.models.adapters.captioner_files import KIND, CaptionerFiles

    if run.captions is None or not run.config["model"].startswith(KIND):
        return None
    path = run.folder / CAPTIONER
    files = CaptionerFiles.read(path)
    check_unchanged(run, path)
    return files


def captioner_geometry(run: Run) -> Geometry:
    """Return how images become squares for a run that writes captions."""
    files = captioner_files(run)
    return Geometry(run.size) if files is None else files.geometry


def vocabulary(run: Run) -> Vocabulary:
    """Return the vocabulary of a run that writes captions; `InputError` where it is damaged."""
    from fairvision.models import Vocabulary

    path = run.folder / VOCABULARY
    files = captioner_files(run)
    read = Vocabulary.read(path) if files is None else files.vocabulary(path)
    check_unchanged(run, path)
    if run.captions is None or len(read) != run.captions["tokens"]:
        raise InputError(f"{path} is not that of {run.folder / CONFIG}: {AGAIN}")
    return read


def _with_weights(built: N, run: Run, device: str | torch.device, which: str) -> N:
    """Return a network with the weights of a run, in evaluation mode."""
    from fairvision import models

    path = run.folder / WEIGHTS[which]
    state = OrderedDict(models.read_tensors(path))
    is_nan = any(tensor.isnan().any() for tensor in state.values() if tensor.is_floating_point())
    check_unchanged(run, path, " and holds NaN" if is_nan else "")
    # MNASNet does not load without the version numbers of its modules, which safetensors lacks.
    state._metadata = built.state_dict()._metadata  # type: ignore[attr-defined]
    models.fit(built, state, source=str(path))
    return built.to(device).eval()


def check_unchanged(run: Run, path: Path, note: str = "") -> None:
    """Raise `InputError` unless a file of a run is as training wrote it, by its checksum."""
    checksums.check(path, run.folder / CONFIG, run.config, note)


def history(run: Run) -> pd.DataFrame:
    """Return what was measured after each epoch, a row per epoch; docs/training.md names it all."""
    path = check_file(run.folder / HISTORY, "a table")
    with reading(path, "csv"):
        table = pd.read_csv(path.absolute(), index_col=False)
    counts = table.filter(regex=f"^{_COUNT.rstrip('/')}(/|$)")
    texts = table.columns.difference(table.select_dtypes("number").columns)
    if table.empty or not {"epoch", "train/n"} <= set(table):
        raise InputError(f"{path} is damaged: it has no figures of an epoch: {AGAIN}")
    if len(texts) or not np.isfinite(counts).all(axis=None):
        wrong = shown(texts[0]) if len(texts) else "of the counts"
        raise InputError(f"{path} is damaged: column {wrong} does not hold numbers: {AGAIN}")
    return table


def score(table: pd.DataFrame, select: str) -> pd.Series:
    """Return how good each epoch is: the larger the better, NaN where undefined.

    Parameters
    ----------
    table : figures by epoch
    select : "loss", the smallest validation loss; "accuracy", the mean validation accuracy of the
        heads; "worst_group_accuracy"

    Examples
    --------
    >>> table = pd.DataFrame({"val/loss": [0.5], "val/accuracy/a": [0.5], "val/accuracy/b": [1.0]})
    >>> score(table, "accuracy").tolist()
    [0.75]
    """
    if select == "accuracy":
        return table.filter(like="val/accuracy/").mean(axis=1)
    if f"val/{select}" not in table:
        return pd.Series(math.nan, index=table.index)
    return table[f"val/{select}"] * (-1 if select == "loss" else 1)


def summary(run: Run) -> Summary:
    """Return what a training came to, ready for JSON.

    `best` holds the figures of the epoch whose weights were kept: the one with the largest `score`,
    or the last one without a validation split. `pictures` counts the training
    images that took part in each loss term, out of `training_pictures`. Undefined is None.
    """
    table = history(run)
    scores = score(table, run.config["options"].get("select", "loss"))
    best = len(table) - 1 if scores.isna().all() else int(scores.argmax())
    row = {str(k): None if pd.isna(v) else float(v) for k, v in table.iloc[best].items()}
    terms = [name for name in row if name.startswith(_COUNT) and "accuracy/" not in name]
    return {
        "run": str(run.folder),
        "method": run.config["method"],
        "model": run.config["model"],
        "epochs": len(table),
        "best_epoch": best + 1,
        "best": {k: v for k, v in row.items() if k != "epoch" and "/n" not in k},
        "training_pictures": int(table["train/n"].iloc[best]),
        "pictures": {name.removeprefix(_COUNT): int(table[name].iloc[best]) for name in terms},
    }
