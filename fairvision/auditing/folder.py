"""The audit folder: from runs, or from tables made elsewhere, to the report."""

from __future__ import annotations

import platform
import warnings as python_warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import fairvision
from fairvision import datasets
from fairvision.attribution import METHODS
from fairvision.auditing import absences, gallery, streaming, tables, verdict
from fairvision.auditing.measures import CONFIDENCE, measure
from fairvision.auditing.names import model_names
from fairvision.auditing.tables import Samples
from fairvision.datasets import Dataset
from fairvision.datasets.regions import no_regions
from fairvision.errors import FairvisionWarning, InputError
from fairvision.files import check_vacant, whole_folder, write_json, write_text

if TYPE_CHECKING:
    import torch

    from fairvision.models import Network
    from fairvision.runs import Run

MARKER = "audit.json"
LIBRARIES = ("torch", "torchvision", "captum", "numpy", "pandas")
PER_CELL = 4


@dataclass(frozen=True)
class Audit:
    """A finished audit.

    Attributes
    ----------
    folder : where `report.html`, `metrics.csv` and the samples tables are
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


@dataclass
class _Material:
    """What both ways into an audit lead to."""

    models: list[Samples]
    reference: Dataset | None
    dataset: str
    fingerprint: str | None
    about: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    train_counts: np.ndarray | None = None
    networks: list[tuple[Run, Network]] = field(default_factory=list)
    device: torch.device | str = "cpu"
    regions: pd.DataFrame = field(default_factory=no_regions)
    leaning: dict[str, pd.DataFrame] = field(default_factory=dict)


def audit(
    runs: Sequence[str | Path] | str | Path = (),
    *,
    output: str | Path,
    data: str | Path | None = None,
    split: str = "test",
    attribution: str = "gradcam",
    predictions: Sequence[str | Path] | str | Path | None = None,
    train: str | Path | None = None,
    attributes: Sequence[str] = (),
    names: Sequence[str] | None = None,
    replicates: int = 1000,
    seed: int = 0,
    device: str = "auto",
    batch_size: int = 64,
    workers: int | None = None,
    leaning: bool | None = None,
    sanity: bool = False,
    sanity_pictures: int = 200,
    overwrite: bool = False,
    quiet: bool = True,
) -> Audit:
    """Compare models: errors, amplification, evidence. Writes the report.

    Parameters
    ----------
    runs : run folders; the first is the one that the others are compared with
    output : folder to write
    data : dataset folder; by default the one that the first run was trained on
    split : which pictures are audited. The training split is the reference of amplification.
    attribution : one of `fairvision.attribution.METHODS`
    predictions : samples tables made elsewhere, instead of runs: parquet or csv, or folders of
        parquet files. Those of more than two million rows are counted, not held; see docs/audit.md.
    train : table with the truth of the training split, for `predictions`
    attributes : with `predictions`, columns that are attributes, where the tables do not say it
    names : what the models are called; by default after their folders or files
    replicates : bootstrap replicates of the 95% intervals
    seed : of the bootstrap; the models share its draws, so differences are paired
    device, batch_size, workers : where and how the models run
    leaning : hide the person, the context and each class of objects and ask the models again; by
        default where the dataset says where objects are. See docs/leaning.md for what it costs.
    sanity, sanity_pictures : check whether the evidence depends on the weights, the picture and the
        mask, on so many pictures. See docs/sanity.md.
    overwrite : replace what an earlier audit wrote in `output`
    quiet : show no progress

    Raises
    ------
    InputError
        If runs, tables and dataset do not fit together, or `output` is not vacant. Nothing is
        written then.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> folder = Path(tempfile.mkdtemp())
    >>> pd.DataFrame(
    ...     {"id": range(20), "gender": ["female", "male"] * 10,
    ...      "score/gender/female": [0.9, 0.2] * 9 + [0.4, 0.6],
    ...      "score/gender/male": [0.1, 0.8] * 9 + [0.6, 0.4]}
    ... ).to_parquet(folder / "mine.parquet")
    >>> done = audit(predictions=[folder / "mine.parquet"], output=folder / "audit")
    >>> done.metrics.query("metric == 'accuracy' and group == ''")[["model", "value", "n"]]
      model  value   n
    0  mine    0.9  20
    """
    check_vacant(output, marker=MARKER, overwrite=overwrite)
    if replicates < 1 or batch_size < 1:
        raise InputError("replicates and batch_size must be 1 or more")
    run_folders, files = _paths(runs), _paths(predictions)
    if bool(run_folders) == bool(files):
        raise InputError("give either runs, or tables with --predictions")
    if files and leaning:
        raise InputError("what models lean on is not in tables: --leaning is for runs")
    if files and sanity:
        raise InputError("tables cannot be asked again: --sanity is for runs")
    if sanity_pictures < 1:
        raise InputError("sanity_pictures must be 1 or more")
    if files:
        material = _from_tables(files, names, split, data, train, attributes)
        attribution = "as given in the tables"
    else:
        if train is not None or attributes:
            raise InputError("--train and --attribute are for tables: add --predictions")
        if attribution not in METHODS:
            raise InputError(f"unknown attribution {attribution!r}: one of {', '.join(METHODS)}")
        material = _from_runs(
            run_folders,
            names,
            split,
            data,
            attribution=attribution,
            device=device,
            batch_size=batch_size,
            workers=workers,
            quiet=quiet,
        )

    models, reference = material.models, material.reference
    with python_warnings.catch_warnings(record=True) as caught:
        python_warnings.simplefilter("always", FairvisionWarning)
        metrics = measure(
            models,
            reference,
            train_counts=material.train_counts,
            replicates=replicates,
            seed=seed,
        )
    metrics = _with_leaning(
        material,
        metrics,
        leaning,
        replicates=replicates,
        seed=seed,
        batch_size=batch_size,
        workers=workers,
        quiet=quiet,
    )
    if sanity:
        from fairvision.auditing.sanity import examine_all

        rows = examine_all(
            material.networks,
            [model.model for model in models],
            models[0].truth,
            attribution=attribution,
            pictures=sanity_pictures,
            replicates=replicates,
            seed=seed,
            device=material.device,
            batch_size=batch_size,
            workers=workers,
            quiet=quiet,
        )
        metrics = pd.concat([metrics, rows], ignore_index=True) if len(rows) else metrics
        if rows.empty:
            material.notes.append("no sanity checks: they need masks and known groups")
    said = [*material.notes, *absences.cautions(models, metrics), *(str(w.message) for w in caught)]
    said = list(dict.fromkeys(said))
    decided = verdict.decide(
        metrics,
        [model.model for model in models],
        left_out=absences.left_out(models, reference),
        warnings=said,
    )
    settings = {
        "dataset": material.dataset,
        "split": split,
        "n": models[0].pictures,
        "attribution": attribution,
        "replicates": replicates,
        "confidence": CONFIDENCE,
        "seed": seed,
        "versions": _versions(),
        "runs": material.about,
        "counts": _counts(models[0]),
    }
    _write(Path(output), material, metrics, decided, settings, overwrite)
    for message in said:
        python_warnings.warn(message, FairvisionWarning, stacklevel=2)
    return Audit(Path(output), metrics, decided)


def _from_runs(
    folders: Sequence[Path],
    names: Sequence[str] | None,
    split: str,
    data: str | Path | None,
    *,
    attribution: str,
    device: str,
    **how: Any,
) -> _Material:
    from fairvision import postprocessing
    from fairvision.auditing.collect import check_agrees, collect
    from fairvision.models import find_device
    from fairvision.runs import load, network

    where = find_device(device)
    called = model_names(folders, names)
    found = [load(folder) for folder in folders]
    whole = datasets.load(_data_of(found[0]) if data is None else data)
    audited, regions = whole.split(split), datasets.read_regions(whole)
    for run in found:
        check_agrees(run, whole)
    networks = [(run, network(run, where)) for run in found]
    fingerprint = whole.fingerprint()
    notes = [
        f"{name} was trained on other data, or the data has changed since"
        for name, run in zip(called, found)
        if run.config["data"]["fingerprint"] != fingerprint
    ]
    rules = [postprocessing.read(run) for run in found]
    notes += [
        f"{name}: {note}"
        for name, rule in zip(called, rules)
        if rule is not None and (note := rule.unchanged(audited))
    ]
    return _Material(
        models=[
            collect(*some, audited, name=name, attribution=attribution, device=where, **how)
            for name, some in zip(called, networks)
        ],
        reference=_training(whole),
        dataset=whole.name,
        fingerprint=fingerprint,
        about=[_about(name, run) for name, run in zip(called, found)],
        notes=notes,
        networks=networks,
        device=where,
        regions=regions,
    )


def _data_of(run: Run) -> Path:
    path = Path(str(run.config["data"].get("path", "")))
    if not (path / "dataset.json").is_file():
        raise InputError(
            f"the data of run {run.folder} is not at {path}: say where it is by --data"
        )
    return path


def _from_tables(
    files: Sequence[Path],
    names: Sequence[str] | None,
    split: str,
    data: str | Path | None,
    train: str | Path | None,
    attributes: Sequence[str],
) -> _Material:
    called = model_names(files, names)
    whole = None if data is None else datasets.load(data)
    train_counts = None
    options: dict[str, Any] = {"split": split, "data": whole, "attributes": attributes}
    if streaming.too_large(files):
        counted = streaming.read_predictions(files, called, **options)
        models, reference, notes = counted.models, counted.reference, counted.notes
        train_counts = counted.train_counts
    else:
        models, reference, notes = tables.read_predictions(files, called, **options)
    if train is not None and streaming.too_large([Path(train)]):
        reference, train_counts = streaming.read_truth(Path(train), models[0].truth)
    elif train is not None:
        reference, train_counts = tables.read_truth(Path(train), models[0].truth), None
    elif whole is not None:
        reference, train_counts = _training(whole), None
    return _Material(
        models=models,
        reference=reference,
        train_counts=train_counts,
        dataset=files[0].name if whole is None else whole.name,
        fingerprint=None if whole is None else whole.fingerprint(),
        about=[{"name": name, "file": str(file)} for name, file in zip(called, files)],
        notes=notes,
    )


def _write(
    output: Path,
    material: _Material,
    metrics: pd.DataFrame,
    decided: dict[str, Any],
    settings: dict[str, Any],
    overwrite: bool,
) -> None:
    from fairvision.report import render

    pictures = _gallery(material, settings["attribution"])
    called = [model.model for model in material.models]
    page = render(
        metrics=metrics, models=called, verdict=decided, gallery=pictures, settings=settings
    )
    with whole_folder(output, marker=MARKER, overwrite=overwrite) as folder:
        _write_tables(material, folder)
        for name, table in material.leaning.items():
            table.to_parquet(folder / name / "leaning.parquet", index=False)
        metrics.to_csv(folder / "metrics.csv", index=False)
        write_text(folder / "report.html", page)
        write_json(
            folder / MARKER,
            {
                "fairvision": fairvision.__version__,
                "models": called,
                "settings": settings,
                "data": {"name": material.dataset, "fingerprint": material.fingerprint},
                "verdict": decided,
            },
        )


def _write_tables(material: _Material, folder: Path) -> None:
    """Write what the figures are computed from: a row per picture, or counts of them."""
    reference, counts = material.reference, material.train_counts
    if material.models[0].counts is not None:
        streaming.write(material.models, folder / "counts.parquet")
    else:
        for model in material.models:
            (folder / model.model).mkdir()
            tables.write(model, folder / model.model / "samples.parquet")
    if reference is not None and counts is not None:
        streaming.write_truth(reference, counts, folder / "train_counts.parquet")
    elif reference is not None:
        tables.write_truth(reference, folder / "train.parquet")


def _with_leaning(
    material: _Material,
    metrics: pd.DataFrame,
    leaning: bool | None,
    *,
    replicates: int,
    seed: int,
    **how: Any,
) -> pd.DataFrame:
    """Return the metrics table with what the runs lean on, where that is asked for."""
    if not material.networks:  # tables need no torch
        return metrics
    from fairvision.auditing import leaning_figures
    from fairvision.auditing.leaning import lean_all

    truth, names = material.models[0].truth, [model.model for model in material.models]
    material.leaning = lean_all(
        material.networks,
        names,
        truth,
        material.regions,
        leaning=leaning,
        seed=seed,
        device=material.device,
        **how,
    )
    if not material.leaning:
        return metrics
    chance: dict[str, Any] = {"replicates": replicates, "confidence": CONFIDENCE, "seed": seed}
    rows = leaning_figures.figures(material.leaning, truth.attributes, **chance)
    material.notes += leaning_figures.warnings(rows)
    return pd.concat([metrics, rows], ignore_index=True)


def _gallery(material: _Material, attribution: str) -> list[dict[str, Any]]:
    """Return telling pictures of each attribute that every run predicts; none without runs."""
    if not material.networks:
        return []
    items = []
    attributes = list(material.models[0].truth.attributes)
    for attribute in attributes:
        if all(attribute in run.attributes for run, _ in material.networks):
            per_cell = -(-PER_CELL // len(attributes))
            items += gallery.draw(
                material.models,
                material.networks,
                attribute,
                list(gallery.choose(material.models, attribute, per_cell=per_cell)),
                method=attribution,
                device=material.device,
            )
    return items


def _training(whole: Dataset) -> Dataset | None:
    return whole.split("train") if (whole.samples["split"] == "train").any() else None


def _about(name: str, run: Run) -> dict[str, Any]:
    keys = ("method", "model", "weights", "size", "seed", "options")
    return {"name": name, **{key: run.config.get(key) for key in keys}}


def _counts(samples: Samples) -> list[dict[str, Any]]:
    truth = samples.truth
    return [
        {
            "attribute": attribute,
            "group": group,
            "n": samples.count(truth.codes(attribute) == code),
        }
        for attribute, groups in truth.attributes.items()
        for code, group in enumerate(groups)
    ]


def _versions() -> dict[str, str]:
    return {
        "fairvision": fairvision.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def _paths(given: Sequence[str | Path] | str | Path | None) -> list[Path]:
    if isinstance(given, (str, Path)):
        return [Path(given)]
    return [Path(one) for one in given or ()]
