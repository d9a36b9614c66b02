"""Slices of an audit's images, and words of their captions, where errors are frequent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from fairvision import datasets, metrics
from fairvision.auditing import more_columns
from fairvision.auditing.given import Given
from fairvision.auditing.image_table import image_paths, read_samples
from fairvision.auditing.inputs import correct, predicted
from fairvision.auditing.layouts import PLAIN
from fairvision.auditing.tables import Samples
from fairvision.core import files
from fairvision.core.csv_files import write_csv
from fairvision.core.tables import open_table
from fairvision.core.version import __version__
from fairvision.datasets import Dataset
from fairvision.drawing.sheets import PER_ROW, SMALL_SIDE, Row, Tile, framed, sheet
from fairvision.errors import InputError, shown
from fairvision.metrics import Hypotheses
from fairvision.report import slices as page_of_slices
from fairvision.results.audit_folder import AUDIT, AuditFolder, read_audit
from fairvision.results.words import written

if TYPE_CHECKING:
    from fairvision.models import Model

MARKER = "slices.json"
PAGE = "slices.html"
SHOWN = 20
"""Pictures on the sheet of a slice."""
Values = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class _Answers:
    """Errors of one model about one head."""

    model: Samples
    head: str
    wrong: Values
    truth: npt.NDArray[Any]
    answers: npt.NDArray[Any]


def find_slices(
    audit: str | Path,
    sources: Sequence[str | Path | Model] = (),
    *,
    output: str | Path,
    features: str | Path | None = None,
    data: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    batch_size: int = 64,
    overwrite: bool = False,
) -> Path:
    """Look for slices of an audit's images that are often answered wrong, and draw them.

    See `fairvision.metrics.error_slices` and docs/slices.md. The folder gets `slices.html`, which
    shows them, `slices.csv`, `words.csv` where the dataset has captions, a sheet of images for each
    slice, and `slices.json`, which lists them.

    Parameters
    ----------
    audit : folder of an audit
    sources : the runs or models that were audited, in the audit's order, whose features are taken
    output : folder to write
    features : table of features instead: `id`, and a column of numbers for each
    data : dataset folder; by default the one that the first run was trained on
    seed : of the halves and the mixture
    device, batch_size : where and how the models run
    overwrite : replace what an earlier call wrote in `output`

    Raises
    ------
    InputError
        Neither or both of runs and features are given, or they do not fit the audit.
    """
    files.check_vacant(output, marker=MARKER, overwrite=overwrite)
    if bool(sources) == (features is not None):
        raise InputError("give either the runs that were audited, or a table by --features")
    done = read_audit(audit)
    if done.marker != AUDIT:
        raise InputError(f"{done.folder} is an audit of captions, not of models")
    networks = _opened(sources, done, device)
    whole = datasets.load(_place(data, networks))
    samples = read_samples(done.folder, done.models, str(done.settings.get("split", "")), whole)
    ids = samples[0].truth.samples["id"]
    paths = [Path(image) for image, _ in image_paths(whole, ids, done.folder)]
    images = whole.rows(Given(whole).rows(ids.to_numpy(object)))
    given = None if features is None else read_features(features, ids)
    cluster = _clusters(done, samples[0].truth)
    tables: dict[str, list[pd.DataFrame]] = {"slices": [], "words": []}
    drawn: list[dict[str, object]] = []
    with files.whole_folder(output, marker=MARKER, overwrite=overwrite) as folder:
        for i, model in enumerate(samples):
            table = given
            for of in _answered(model):
                if table is None:
                    table = _features_of(networks[i][0], images, batch_size)
                slices = metrics.error_slices(
                    table,
                    of.wrong,
                    labels=of.truth,
                    predicted=of.answers,
                    cluster=cluster,
                    seed=seed,
                )
                tables["slices"].append(_named(slices.table, of))
                drawn += _draw(slices, of, paths, folder)
                if images.has_captions:
                    words = metrics.error_words(
                        images.captions, of.wrong, cluster=cluster, seed=seed
                    )
                    tables["words"].append(_named(words.table, of))
        for name, parts in tables.items():
            if parts:
                write_csv(pd.concat(parts, ignore_index=True), folder / f"{name}.csv")
        about = {"fairvision": __version__, "audit": str(audit), "seed": seed}
        files.write_json(folder / MARKER, about | {"slices": drawn})
        words_shown = [_word(row) for part in tables["words"] for row in part.to_dict("records")]
        page = page_of_slices.render(done.folder.name, drawn, words_shown)
        (folder / PAGE).write_text(page, encoding="utf-8")
    return Path(output)


def read_features(path: str | Path, ids: pd.Series) -> Values:
    """Return the features of images (n, width) from a table with `id` and columns of numbers."""
    table = open_table(path)
    table.check_columns(["id"])
    held = table.read().to_pandas()
    columns = held.drop(columns="id")
    numbers = columns.apply(pd.to_numeric, errors="coerce")
    for name in columns:
        if numbers[name].isna().all():
            raise InputError(f"{table.path} column {shown(name)} holds no numbers: leave it out")
    if not len(numbers.columns):
        raise InputError(f"{table.path} has no column of features beside id")
    by_id = numbers.set_axis(held["id"].astype(str), axis=0)
    if by_id.index.duplicated().any():
        twice = by_id.index[by_id.index.duplicated()][0]
        raise InputError(f"{table.path} has the id {shown(twice)} twice")
    missing = ids[~ids.astype(str).isin(by_id.index)]
    if len(missing):
        raise InputError(f"{table.path} has no features of picture {shown(missing.iloc[0])}")
    features: Values = by_id.loc[ids.astype(str)].to_numpy(float)
    return features


def _opened(
    sources: Sequence[str | Path | Model], done: AuditFolder, device: str
) -> list[tuple[Model, str]]:
    """Return the models that were audited, and where the data of their runs are."""
    if not sources:
        return []
    from fairvision.auditing.subjects import open_subjects

    if len(sources) != len(done.models):
        raise InputError(
            f"{done.folder} audited {len(done.models)} models ({', '.join(done.models)}): "
            f"give their runs in this order, not {len(sources)}"
        )
    names = [Path(of).name if isinstance(of, (str, Path)) else of.name for of in sources]
    if names != done.models and sorted(names) == sorted(done.models):
        raise InputError(f"give the runs in the order of {done.folder}: {', '.join(done.models)}")
    subjects = open_subjects(sources, done.models, device=device)
    for subject in subjects:
        if not hasattr(subject.model.module, "features"):
            raise InputError(
                f"{subject.model.name} does not say what its features are: give those of any "
                "network by --features, a table with id and a column for each feature, instead of "
                "models (see docs/slices.md)"
            )
    places = [
        "" if of.run is None else str(of.run.config["data"].get("path", "")) for of in subjects
    ]
    return [(subject.model, place) for subject, place in zip(subjects, places)]


def _place(data: str | Path | None, networks: Sequence[tuple[Model, str]]) -> str | Path:
    """Return where the images are."""
    place = data if data is not None else next((place for _, place in networks if place), None)
    if place is None:
        raise InputError("say by --data where the audited pictures are")
    return place


def _clusters(done: AuditFolder, truth: Dataset) -> npt.NDArray[np.object_] | None:
    """Return the cluster of each image, where the audit resampled clusters."""
    column = dict(done.settings.get("clusters") or {}).get("column")
    if column is None:
        return None
    table = files.inside(done.folder, done.models[0]) / "samples.parquet"
    return more_columns.of_tables([f"cluster/{column}"], [table], PLAIN, None, truth)


def _answered(model: Samples) -> Iterator[_Answers]:
    """Yield errors about each head with one label per image."""
    schema = model.truth.schema
    for head in schema:
        answers = predicted(model, head)
        if answers is None or schema.is_many(head):
            continue
        truth = model.truth.encoded(head)
        yield _Answers(model, head, 1 - correct(model, truth, answers), truth, answers)


def _features_of(network: Model, images: Dataset, batch_size: int) -> Values:
    """Return what the last layer of a network sees of each image, (n, width)."""
    import torch

    from fairvision.datasets import batches, open_pixels
    from fairvision.models import geometry_of

    pixels = open_pixels(images, geometry_of(network))
    module: Any = network.module
    was_training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            parts = [
                module.features(batch.images).flatten(1).float().cpu().numpy()
                for batch in batches(images, pixels, batch_size, device=network.device)
            ]
    finally:
        module.train(was_training)
    return np.concatenate(parts)


def _named(table: pd.DataFrame, of: _Answers) -> pd.DataFrame:
    """Return a table with what it is about in front."""
    about = pd.DataFrame({"model": of.model.model, "about": of.head}, index=table.index)
    return pd.concat([about, table], axis=1)


def _word(row: Mapping[Any, Any]) -> dict[str, object]:
    """Return what the page says of a word."""
    kept = {name: row[name] for name in ("model", "about", "word", "n", "confirmed")}
    shares = {"error": row["error"], "elsewhere": row["error_elsewhere"]}
    return kept | {name: written(float(value), "fraction") for name, value in shares.items()}


def _draw(
    slices: Hypotheses, of: _Answers, paths: Sequence[Path], folder: Path
) -> list[dict[str, object]]:
    """Draw a sheet of each slice; return what is on them."""
    drawn: list[dict[str, object]] = []
    names = of.model.truth.schema.labels(of.head)
    for row, inside in zip(slices.table.to_dict("records"), slices.members):
        place = Path(files.plain_name(of.model.model)) / files.plain_name(of.head)
        (folder / place).mkdir(parents=True, exist_ok=True)
        file = place / f"slice-{int(row['slice']):02d}.png"
        rows = np.flatnonzero(inside & (of.wrong == of.wrong))
        rows = rows[np.argsort(-of.wrong[rows], kind="stable")][:SHOWN]
        tiles = [_tile(paths[i], of, names, i) for i in map(int, rows)]
        status = "confirmed" if row["confirmed"] else "not confirmed"
        error, low, high, rest = (
            written(float(row[key]), "fraction")
            for key in ("error", "low", "high", "error_elsewhere")
        )
        title = f"{of.model.model}, {of.head}: slice {row['slice']}, {status}"
        says = (
            f"wrong in {error} ({low} to {high}) of {row['n']} pictures of the other half, "
            f"elsewhere in {rest}"
        )
        notes = [says, "A hypothesis: what these pictures have in common is for you to see."]
        lines = [Row("", tiles[start : start + PER_ROW]) for start in range(0, len(tiles), PER_ROW)]
        sheet(title, notes, lines).save(folder / file)
        ids = of.model.truth.samples["id"].iloc[rows].astype(str).tolist()
        about = {"model": of.model.model, "about": of.head, "slice": row["slice"]}
        about |= {"confirmed": bool(row["confirmed"]), "file": file.as_posix()}
        drawn.append({**about, "says": f"{says[0].upper()}{says[1:]}.", "ids": ids})
    return drawn


def _tile(path: Path, of: _Answers, names: Sequence[str], row: int) -> Tile:
    """Return an image with what is true of it, and what was answered."""
    with Image.open(path) as opened:
        image = framed(opened.convert("RGB"), SMALL_SIDE // 2)
    truth = names[int(of.truth[row])]
    answer = names[int(of.answers[row])] if of.answers[row] >= 0 else "no answer"
    if of.wrong[row]:
        return Tile(image, answer, strong=True, lines=[f"annotated {truth}"])
    return Tile(image, answer)
