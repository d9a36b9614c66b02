"""The most telling images of every reason of an audit, as sheets to print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.console import Console
from rich.progress import track

from fairvision import datasets
from fairvision.attribution import METHODS
from fairvision.auditing import gallery, tables
from fairvision.auditing.folder import MARKER as AUDIT_MARKER
from fairvision.auditing.tables import MEASURES, Samples
from fairvision.auditing.telling import clarity, most_telling, telling_codes, telling_labels
from fairvision.core import checksums, files
from fairvision.core.version import __version__
from fairvision.datasets import Dataset
from fairvision.drawing.sheets import contact_sheet, image_sheet
from fairvision.errors import InputError
from fairvision.metrics.causes import REASONS
from fairvision.results import figures
from fairvision.results.figures import read_metrics
from fairvision.results.gallery import GalleryImage

if TYPE_CHECKING:
    from fairvision.models import Model, SourceOptions

MARKER = "pictures.json"
TOLERANCE = 0.02
"""How far probabilities may be from the audited ones: devices differ, other weights do more."""
_SIDE, _DPI = 640, (200, 200)


@dataclass(frozen=True)
class _Audited:
    """An audit folder, with the images and the models that it is about."""

    folder: Path
    methods: list[str | None]
    models: list[Samples]
    networks: list[Model]


def image_sheets(
    audit: str | Path,
    sources: Sequence[str | Path | Model],
    *,
    options: Sequence[SourceOptions] = (),
    output: str | Path,
    per_cell: int = 10,
    data: str | Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
    quiet: bool = True,
) -> Path:
    """Draw the most telling images of each of an audit's `reasons`.

    Which these are is said by `fairvision.auditing.telling.most_telling`. Maps are computed again
    by the attribution of the audit, for the annotated group; the figures beside them are the
    audit's. For every model, attribute and reason that has images the folder holds a contact sheet
    `MODEL/ATTRIBUTE/CELL.png` and a sheet per image, `MODEL/ATTRIBUTE/CELL/01-ID.png`, with every
    model's map. `pictures.json` lists them all.

    Parameters
    ----------
    audit : folder of an audit of runs
    sources : the run folders or models that were audited, in the audit's order
    options : what is told about models by name, as for `fairvision.audit`
    output : folder to write
    per_cell : largest number of images of each reason
    data : dataset folder; by default the one that the first run was trained on
    device : "auto", "cpu", "cuda" or "mps"
    overwrite : replace what an earlier call wrote in `output`
    quiet : show no progress

    Returns
    -------
    The folder.

    Raises
    ------
    InputError
        If the folder is no audit of runs with reasons, or runs or data are not those that were
        audited. Nothing is written then.
    """
    files.check_vacant(output, marker=MARKER, overwrite=overwrite)
    if per_cell < 1:
        raise InputError("per_cell must be 1 or more")
    audited = _open_audit(Path(audit), sources, options, data, device)
    drawn: list[dict[str, object]] = []
    with files.whole_folder(output, marker=MARKER, overwrite=overwrite) as folder:
        sheets = list(_rows_by_reason(audited, per_cell))
        for model, attribute, reason, rows in track(
            sheets, "draws pictures", console=Console(stderr=True), transient=True, disable=quiet
        ):
            drawn += _draw(audited, model, attribute, reason, rows, folder)
        about = {
            "fairvision": __version__,
            "audit": str(audit),
            "attribution": audited.methods[0] or "none",
            "per_cell": per_cell,
        }
        files.write_json(folder / MARKER, about | {"pictures": drawn})
    return Path(output)


def _open_audit(
    folder: Path,
    sources: Sequence[str | Path | Model],
    options: Sequence[SourceOptions],
    data: str | Path | None,
    device: str,
) -> _Audited:
    """Read an audit, and open the models and the images that it is about."""
    from fairvision.auditing.subjects import in_terms_of, open_subjects

    names, split, methods = _description(folder)
    if len(sources) != len(names):
        raise InputError(
            f"{folder} audited {len(names)} models ({', '.join(names)}): "
            f"give their runs in this order, not {len(sources)}"
        )
    subjects = open_subjects(sources, names, device=device, options=options)
    runs = [subject.run for subject in subjects if subject.run is not None]
    if data is None and not runs:
        raise InputError("say by --data where the audited pictures are")
    whole = datasets.load(runs[0].config["data"].get("path", "") if data is None else data)
    tested = whole.originals().split(split)
    models, _, _ = tables.read_predictions(
        [folder / name / "samples.parquet" for name in names],
        names,
        split=split,
        data=whole,
    )
    truth = _same_images(models[0].truth, tested, folder)
    models = [replace(model, truth=truth) for model in models]
    networks = [in_terms_of(subject.model, whole) for subject in subjects]
    return _Audited(folder, methods, models, networks)


def _description(folder: Path) -> tuple[list[str], str, list[str | None]]:
    """Return the names of an audit's models, the split, and the attribution of each."""
    marker = files.resolved(folder) / AUDIT_MARKER
    if not marker.is_file():
        raise InputError(f"{folder} is not an audit: it holds no {AUDIT_MARKER}")
    about = files.read_json(marker)
    try:
        names, settings = [str(name) for name in about["models"]], dict(about["settings"])
        split, usual = str(settings["split"]), settings["attribution"]
        noted = [about.get("attribution", usual) for about in settings["runs"]]
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{folder / AUDIT_MARKER} is damaged: audit again") from None
    if len(noted) != len(names) or not {*noted} <= {*METHODS, "none"}:
        raise InputError(f"{folder} is an audit of tables: there is no network to ask for maps")
    for name in names:
        checksums.check(files.inside(folder, name) / "samples.parquet", marker, about)
    checksums.check(marker.with_name("metrics.csv"), marker, about)
    return names, split, [None if method == "none" else method for method in noted]


def _same_images(audited: Dataset, tested: Dataset, folder: Path) -> Dataset:
    """Return the audited rows of the dataset, in the audit's order."""
    place = pd.Index(tested.samples["id"]).get_indexer(pd.Index(audited.samples["id"]))
    if (place < 0).any():
        missing = audited.samples["id"][int((place < 0).argmax())]
        raise InputError(
            f"dataset {tested.root} has no picture {missing!r}, which {folder} is about: "
            "say by --data where the audited pictures are"
        )
    return replace(tested, samples=tested.samples.iloc[place].reset_index(drop=True))


def _rows_by_reason(
    audited: _Audited, per_cell: int
) -> Iterator[tuple[Samples, str, str, npt.NDArray[np.integer]]]:
    """Yield model, attribute, reason and rows, of every reason that has any."""
    is_empty = True
    for attribute in audited.models[0].truth.attributes:
        if not all(attribute in network.schema.attributes for network in audited.networks):
            continue
        for model in audited.models:
            for reason, rows in most_telling(model, attribute, per_cell):
                if len(rows):
                    is_empty = False
                    yield model, attribute, reason, rows
    if is_empty and not audited.networks[0].schema.attributes:
        raise InputError(
            f"{audited.folder} has no reasons, which are about naming a group: its models name "
            "none; pictures of their tasks are in the report"
        )
    if is_empty:
        raise InputError(f"{audited.folder} has no reasons: it takes pictures with masks")


def _draw(
    audited: _Audited,
    model: Samples,
    attribute: str,
    reason: str,
    rows: npt.NDArray[np.integer],
    folder: Path,
) -> list[dict[str, object]]:
    """Draw the sheets of one reason; return what is on them."""
    _check_predictions(audited, attribute, rows)
    images = gallery.draw(
        audited.models,
        audited.networks,
        attribute,
        [(reason, int(row)) for row in rows],
        methods=audited.methods,
        side=_SIDE,
    )
    place = Path(model.model) / files.plain_name(attribute) / files.plain_name(reason)
    (folder / place).mkdir(parents=True)
    title = f"{model.model}, {attribute}: {reason}"
    notes = [
        _describe_share(audited, model, attribute, reason),
        _describe_choice(audited, model, attribute, reason, rows),
    ]
    contact = contact_sheet(title, notes, images, model.model)
    contact.save(folder / place.with_suffix(".png"), dpi=_DPI)
    entries = []
    clear = clarity(model, attribute)
    for number, (row, image) in enumerate(zip(rows, images), start=1):
        file = place / f"{number:02d}-{files.plain_name(image.id)}.png"
        labels = f" · {', '.join(image.labels)}" if image.labels else ""
        lines = [f"annotated {attribute}: {image.truth}{labels}", f"{title}, picture {number}"]
        image_sheet(image.id, lines, image, model.model).save(folder / file, dpi=_DPI)
        entry = _entry(image, model, attribute, int(row), clear)
        entries.append(entry | {"file": file.as_posix()})
    return entries


def _check_predictions(audited: _Audited, attribute: str, rows: npt.NDArray[np.integer]) -> None:
    """Raise `InputError` where a model does not predict what it did in the audit."""
    from fairvision.auditing.collect import class_order
    from fairvision.datasets import batches, open_pixels
    from fairvision.models import geometry_of

    for model, network in zip(audited.models, audited.networks):
        pixels = open_pixels(model.truth, geometry_of(network), cache="never")
        (batch,) = batches(model.truth, pixels, len(rows), device=network.device, order=rows)
        scores = network.predict(batch.images)[attribute].double().cpu().numpy()
        scores = scores[:, class_order(network, model.truth, attribute)]
        before = model.probabilities("score", attribute)
        if before is None or not (np.abs(scores - before[rows]) <= TOLERANCE).all():
            raise InputError(
                f"{network} does not answer as {model.model!r} did in {audited.folder}: "
                "give the runs that were audited, in the audit's order, and the same pictures"
            )


def _describe_share(audited: _Audited, model: Samples, attribute: str, reason: str) -> str:
    """Return which share of the images has this reason, with the audit's interval."""
    table = read_metrics(audited.folder / "metrics.csv")
    read = figures.read(table, [samples.model for samples in audited.models])
    metric = "reasons" if reason in REASONS else "evidence_cells"
    figure = read.get(model.model, metric, attribute, label=reason)
    share = figure.sentence(before="95% interval ") if figure else "an unknown share"
    return f"{share} of the pictures with a mask"


def _describe_choice(
    audited: _Audited, model: Samples, attribute: str, reason: str, rows: npt.NDArray[np.integer]
) -> str:
    """Return which images of the reason are shown, and what the maps are."""
    from fairvision.auditing.coarse_maps import coarse_grid
    from fairvision.auditing.subjects import why_not_drawn

    labels = telling_labels([model], attribute)
    count = int((telling_codes(model, attribute, labels) == labels.index(reason)).sum())
    which = f"the {len(rows)} most telling of {count}" if len(rows) < count else f"all {count}"
    names = [samples.model for samples in audited.models]
    place = names.index(model.model)
    method = audited.methods[place]
    if method is None:
        return f"Shown: {which}, the groups in turn. The audit looked for no evidence."
    if reason_no_map := why_not_drawn(audited.networks[place], method):
        return f"Shown: {which}, the groups in turn. Evidence by {method}: {reason_no_map}."
    grid = coarse_grid(audited.networks[place], method)
    enlarged = "" if grid is None else f", enlarged from {grid[0]} × {grid[1]} cells"
    return (
        f"Shown: {which}, the groups in turn. Evidence for the annotated {attribute} by "
        f"{method}{enlarged}, each map on its own scale."
    )


def _entry(
    image: GalleryImage, model: Samples, attribute: str, row: int, clear: npt.NDArray[np.float64]
) -> dict[str, object]:
    """Return what `pictures.json` says of an image."""
    answer = next(answer for answer in image.models if answer.name == model.model)
    hit = model.evidence(MEASURES[0], attribute)
    return {
        "model": model.model,
        "attribute": attribute,
        "cell": image.kind,
        "id": image.id,
        "group": image.truth,
        "answer": answer.answer,
        "probability": answer.probability,
        "holds": answer.holds,
        MEASURES[0]: None if hit is None or np.isnan(hit[row]) else float(hit[row]),
        MEASURES[1]: answer.mass,
        "chance": image.chance,
        "telling": None if np.isnan(clear[row]) else float(clear[row]),
    }
