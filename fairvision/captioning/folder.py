"""From files of captions to the folder with the report."""

from __future__ import annotations

import platform
import warnings as python_warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

import fairvision
from fairvision import metrics
from fairvision.auditing.measures import CONFIDENCE
from fairvision.auditing.names import model_names
from fairvision.captioning import disagreements, verdict
from fairvision.captioning.cautions import cautions, left_out
from fairvision.captioning.files import read_captions, read_human, read_words, said_of
from fairvision.captioning.labels import Labels, read_labels, read_reference
from fairvision.captioning.measures import Said, measure
from fairvision.captioning.objects import named_objects
from fairvision.errors import FairvisionWarning, InputError
from fairvision.files import check_vacant, whole_folder, write_json, write_text
from fairvision.metrics._caption_words import words_for

MARKER = "captions.json"
LIBRARIES = ("numpy", "pandas", "scikit-learn")
PER_CELL = 2


@dataclass(frozen=True)
class CaptionAudit:
    """A finished audit of captions.

    Attributes
    ----------
    folder : where `report.html`, `metrics.csv` and `captions.parquet` are
    metrics : the metrics table
    verdict : `headline`, `answers`, `left_out`, `warnings`
    """

    folder: Path
    metrics: pd.DataFrame
    verdict: dict[str, Any]

    @property
    def report(self) -> Path:
        """Path of the page."""
        return self.folder / "report.html"


def captions(
    files: Sequence[str | Path] | str | Path,
    *,
    labels: str | Path,
    output: str | Path,
    split_column: str | None = None,
    split: str | None = None,
    attribute: str | None = None,
    objects: str | None = None,
    words: str | Path | None = None,
    object_words: str | Path | None = None,
    human: str | Path | None = None,
    train: str | Path | None = None,
    names: Sequence[str] | None = None,
    images: str | Path | None = None,
    show: Sequence[str | int] = (),
    rounds: int = 10,
    replicates: int = 1000,
    seed: int = 0,
    overwrite: bool = False,
    quiet: bool = True,
) -> CaptionAudit:
    """Compare captioners: whom their captions name, and what the rest tells. Writes the report.

    Parameters
    ----------
    files : captions of each model, in COCO's format of results; the others are compared with the
        first. The pictures that all models and the labels table have are audited.
    labels : csv or parquet with `image_id`, a column of groups, and perhaps one of objects
    output : folder to write
    split_column, split : which rows of the labels table are audited; by default all
    attribute : the column of groups; by default `gender`, or the only one that is left
    objects : the column of objects; by default `objects`, where there is one
    words : JSON, the words of each group; by default those of `metrics.caption_genders`
    object_words : JSON, words that name an object besides its own name and plural
    human : JSON, what people wrote of the pictures, for LIC
    train : labels table of the training split, the reference of amplification
    names : what the models are called; by default after their files
    images : folder with the pictures; without it the report shows captions alone
    show : ids of pictures that the report is to show, also of other splits
    rounds : of LIC; 0 leaves it out
    replicates : bootstrap replicates of the 95% intervals
    seed : of all chance; the models share its draws, so differences are paired
    overwrite : replace what an earlier call wrote in `output`
    quiet : show no progress

    Raises
    ------
    InputError
        A file cannot be read, files do not fit together, or `output` is not vacant. Nothing is
        written then.

    Examples
    --------
    >>> import json, tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> said = [{"image_id": i, "caption": "a man on skis"} for i in range(20)]
    >>> _ = (folder / "mine.json").write_text(json.dumps(said))
    >>> truth = pd.DataFrame({"image_id": range(20), "gender": ["man"] * 15 + ["woman"] * 5})
    >>> truth.to_csv(folder / "labels.csv", index=False)
    >>> with python_warnings.catch_warnings(action="ignore"):
    ...     done = captions(folder / "mine.json", labels=folder / "labels.csv",
    ...                     output=folder / "audit")
    >>> done.metrics.query("metric == 'error'")[["group", "value", "n"]]
       group  value   n
    0          0.25  20
    1  woman   1.00   5
    2    man   0.00  15
    """
    check_vacant(output, marker=MARKER, overwrite=overwrite)
    if replicates < 1 or rounds < 0:
        raise InputError("replicates must be 1 or more, and rounds 0 or more")
    paths = [Path(files)] if isinstance(files, (str, Path)) else [Path(file) for file in files]
    if not paths:
        raise InputError("give at least one file of captions")
    called = model_names([_stem(path) for path in paths], names)
    console = Console(stderr=True, quiet=quiet)
    with console.status("reads captions"):
        said = {name: read_captions(path) for name, path in zip(called, paths)}
        audited, everything = read_labels(
            Path(labels),
            attribute=attribute,
            objects=objects,
            split_column=split_column,
            split=split,
        )
        truth, notes = _common(audited, said)
        kinds = _words(truth, words)
        more = {} if object_words is None else read_words(Path(object_words))
        reference = _reference(truth, train)
        written = None if human is None else read_human(Path(human))
        vocabulary = sorted({*everything.vocabulary, *(reference.vocabulary if reference else ())})
        asked = disagreements.rows_of(list(map(str, show)), everything, said)
        with said_of(object_words):
            models = _models(said, truth, kinds, vocabulary, more)
            shown = _models(said, asked, kinds, vocabulary, more)
        people = None if written is None else [written.get(own) for own in truth.rows["id"]]
        pictures = None
        if images is not None:
            ids = [*truth.rows["id"], *asked.rows["id"]]
            pictures = disagreements.find_pictures(Path(images), ids)
            if not pictures:
                raise InputError(
                    f"{images} holds none of the pictures: files are named by their id"
                )

    with console.status("measures"), python_warnings.catch_warnings(record=True) as caught:
        python_warnings.simplefilter("always", FairvisionWarning)
        figures = measure(
            models,
            truth,
            kinds,
            reference=reference,
            human=people,
            hidden=None if words is None else read_words(Path(words)),
            rounds=rounds,
            replicates=replicates,
            seed=seed,
        )
    notes += [*cautions(models, truth, kinds, people), *(str(w.message) for w in caught)]
    notes = list(dict.fromkeys(notes))
    decided = verdict.decide(
        figures,
        called,
        left_out=left_out(truth, kinds, reference=reference, human=people, rounds=rounds),
        warnings=notes,
    )
    with console.status("writes"):
        chosen = disagreements.choose(models, truth, files=pictures, per_cell=PER_CELL, seed=seed)
        asked_for = [(disagreements.ASKED, row) for row in range(len(asked))]
        gallery = [
            *disagreements.items(shown, asked, asked_for, kinds, pictures),
            *disagreements.items(models, truth, chosen, kinds, pictures),
        ]
        settings = {
            "dataset": Path(labels).name,
            "split": "" if len(audited) == len(everything) else split or "test",
            "n": len(truth),
            "attribute": truth.attribute,
            "task": truth.task,
            "groups": list(kinds),
            "words": {group: sorted(own) for group, own in kinds.items()},
            "reference": None if reference is None else Path(str(train)).name,
            "human": None if human is None else Path(human).name,
            "rounds": rounds,
            "replicates": replicates,
            "confidence": CONFIDENCE,
            "seed": seed,
            "versions": _versions(),
            "runs": [
                {"name": name, "file": path.name, "captions": len(said[name])}
                for name, path in zip(called, paths)
            ],
            "counts": [
                {truth.attribute: group, "n": int((truth.rows["group"] == group).sum())}
                for group in kinds
            ],
        }
        _write(Path(output), models, truth, figures, decided, settings, gallery, overwrite)
    for message in notes:
        python_warnings.warn(message, FairvisionWarning, stacklevel=2)
    return CaptionAudit(Path(output), figures, decided)


def _stem(path: Path) -> Path:
    return path.with_name(path.stem.removeprefix("captions_") or path.stem)


def _common(labels: Labels, said: Mapping[str, Mapping[str, str]]) -> tuple[Labels, list[str]]:
    """Return the pictures that all have, and how many some lack."""
    ids = list(labels.rows["id"])
    common = [own for own in ids if all(own in captions for captions in said.values())]
    lacking = {name: sum(own not in captions for own in ids) for name, captions in said.items()}
    if not common:
        counts = ", ".join(f"{name} {len(ids) - lack}" for name, lack in lacking.items())
        raise InputError(
            f"no picture of {labels.path} has a caption of every model (of {len(ids)} pictures "
            f"have one: {counts}): do the ids agree?"
        )
    notes = [
        f"{name} has no caption of {lack} of {len(ids)} labelled pictures: they are left out for "
        "all models"
        for name, lack in lacking.items()
        if lack
    ]
    return labels.of(common), notes


def _words(truth: Labels, words: str | Path | None) -> dict[str, frozenset[str]]:
    """Return the words of each group."""
    where = f"{truth.path}, column {truth.attribute!r}"
    if not truth.groups:
        raise InputError(f"{where}: no group of the audited pictures is known")
    if words is not None:
        with said_of(words):
            return words_for(truth.groups, read_words(Path(words)))
    try:
        return words_for(truth.groups, None)
    except InputError:
        raise InputError(
            f"{where}: for the groups {', '.join(truth.groups)} no words are known; give them by "
            '--words FILE, {"group": ["word", …], …}'
        ) from None


def _reference(truth: Labels, train: str | Path | None) -> Labels | None:
    if train is None:
        return None
    if not truth.task:
        raise InputError(f"--train is for amplification, but {truth.path} has no objects")
    return read_reference(Path(train), truth)


def _models(
    said: Mapping[str, Mapping[str, str]],
    truth: Labels,
    words: Mapping[str, frozenset[str]],
    vocabulary: Sequence[str],
    more: Mapping[str, Sequence[str]],
) -> list[Said]:
    found = []
    for name, captions_of in said.items():
        texts = [captions_of[own] for own in truth.rows["id"]]
        objects = named_objects(texts, vocabulary, more) if truth.task else None
        found.append(Said(name, texts, metrics.caption_genders(texts, words), objects))
    return found


def _write(
    output: Path,
    models: Sequence[Said],
    truth: Labels,
    figures: pd.DataFrame,
    decided: dict[str, Any],
    settings: dict[str, Any],
    gallery: list[dict[str, Any]],
    overwrite: bool,
) -> None:
    from fairvision.report.captions import render

    called = [model.model for model in models]
    page = render(
        metrics=figures, models=called, verdict=decided, gallery=gallery, settings=settings
    )
    with whole_folder(output, marker=MARKER, overwrite=overwrite) as folder:
        _table(models, truth).to_parquet(folder / "captions.parquet", index=False)
        figures.to_csv(folder / "metrics.csv", index=False)
        write_text(folder / "report.html", page)
        about = {"fairvision": fairvision.__version__, "models": called}
        write_json(folder / MARKER, {**about, "settings": settings, "verdict": decided})


def _table(models: Sequence[Said], truth: Labels) -> pd.DataFrame:
    """Return a row per picture: the truth, and of each model its caption and what that names."""
    columns: dict[str, Any] = {"id": truth.rows["id"], truth.attribute: truth.rows["group"]}
    if truth.task:
        columns[truth.task] = truth.rows["objects"]
    for model in models:
        columns[f"caption/{model.model}"] = model.captions
        columns[f"named/{model.model}"] = model.named
        columns[f"outcome/{model.model}"] = model.outcomes(truth)
        if model.objects is not None:
            labels = model.objects.columns.to_numpy()
            columns[f"objects/{model.model}"] = [
                list(labels[row]) for row in model.objects.to_numpy(bool)
            ]
    return pd.DataFrame(columns)


def _versions() -> dict[str, str]:
    return {
        "fairvision": fairvision.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }
