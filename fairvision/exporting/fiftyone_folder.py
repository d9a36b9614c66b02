"""An audit as a folder that FiftyOne reads: truth, answers, reasons and evidence of each image.

The layout is FiftyOne's own, `metadata.json` and `samples.json` of
`fiftyone.types.FiftyOneDataset`, without a version; so neither FiftyOne nor its database is needed
to write it. docs/export.md says how it is opened. The images stay where they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fairvision import datasets
from fairvision.auditing.image_table import facts, image_paths, read_samples
from fairvision.auditing.inputs import predicted
from fairvision.auditing.tables import Samples
from fairvision.core import tars
from fairvision.core.files import whole_folder, write_json
from fairvision.errors import InputError
from fairvision.exporting.figure_names import figure_names
from fairvision.results.audit_folder import AUDIT, AuditFolder

MARKER = "metadata.json"
SAMPLES = "samples.json"
RESERVED = ("audit_id", "created_at", "filepath", "id", "last_modified_at", "metadata", "person")
Fields = dict[tuple[str, ...], Sequence[Any]]
"""A value for each image, None where there is none, by the parts of the name of the field."""


def write_fiftyone(
    audit: AuditFolder, *, output: str | Path, data: str | Path | None, overwrite: bool = False
) -> Path:
    """Write an audit of models as a folder for FiftyOne, and return the folder.

    Parameters
    ----------
    data : dataset folder with the audited images
    """
    if audit.marker != AUDIT:
        raise InputError(f"{audit.folder} is an audit of captions: fiftyone takes one of models")
    if data is None:
        raise InputError("fiftyone shows pictures: say by --data where the dataset folder is")
    whole = datasets.load(data)
    models = read_samples(audit.folder, audit.models, str(audit.settings.get("split", "")), whole)
    samples = image_paths(whole, models[0].truth.samples["id"], audit.folder)
    for image, _ in samples:
        if (archive := tars.archive_of(Path(image))) is not None:
            raise InputError(f"{archive} holds pictures of {whole.root}: FiftyOne reads files only")
    ids = models[0].truth.samples["id"]
    fields: Fields = {
        ("truth", head): _labels(models[0], head, models[0].truth.encoded(head), None)
        for head in models[0].truth.schema
    }
    for model in models:
        fields |= _answers(model)
    names = figure_names(fields, between="_", reserved=RESERVED)
    names = {key: name.lstrip("_") or "model" for key, name in names.items()}
    rows = zip(*(_json(values) for values in fields.values()))
    entries: list[dict[str, Any]] = []
    for id, (path, mask), values in zip(ids, samples, rows):
        entry = {"filepath": path, "tags": [str(audit.settings.get("split", ""))], "audit_id": id}
        if mask:
            entry["person"] = {"_cls": "Segmentation", "mask_path": mask}
        entry |= {name: value for name, value in zip(names.values(), values) if value is not None}
        entries.append(entry)
    about = {
        "fairvision": audit.version,
        "headline": audit.verdict.headline,
        "settings": dict(audit.settings),
        "fields": {name: " ".join(key) for key, name in names.items()},
    }
    with whole_folder(output, marker=MARKER, overwrite=overwrite) as folder:
        write_json(folder / SAMPLES, {"samples": entries})
        write_json(folder / MARKER, {"media_type": "image", "info": about})
    return Path(output)


def _answers(model: Samples) -> Fields:
    """Return what a model answers to each image, whether that is right, and why."""
    fields: Fields = {}
    for head in model.truth.schema:
        codes = predicted(model, head)
        if codes is None:
            continue
        of_head = (model.model, head)
        fields[of_head] = _labels(model, head, codes, model.probabilities("score", head))
        fields |= {(*of_head, name): values for name, values in facts(model, head).items()}
    return fields


def _labels(
    model: Samples,
    head: str,
    codes: npt.NDArray[Any],
    scores: npt.NDArray[np.float64] | None,
) -> list[Mapping[str, Any] | None]:
    """Return labels as FiftyOne holds them: one with its probability, or several."""
    names = model.truth.schema.labels(head)

    def label(row: int, code: int) -> dict[str, Any]:
        confidence = None if scores is None else float(scores[row, code])
        return {"_cls": "Classification", "label": names[code], "confidence": confidence}

    if not model.truth.schema.is_many(head):
        return [label(row, code) if code >= 0 else None for row, code in enumerate(codes)]
    return [
        None
        if held[0] < 0
        else {
            "_cls": "Classifications",
            "classifications": [label(row, int(code)) for code in np.flatnonzero(held)],
        }
        for row, held in enumerate(codes)
    ]


def _json(values: Sequence[Any]) -> list[Any]:
    """Return values as JSON has them: NaN is None."""
    return [None if isinstance(v, float) and math.isnan(v) else v for v in values]
