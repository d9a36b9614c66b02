"""A row for each audited image and model: what is true, what was answered, why, and where it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision.auditing.cause_figures import codes_by_cause, column
from fairvision.auditing.given import Given
from fairvision.auditing.inputs import predicted
from fairvision.auditing.tables import MEASURES, Samples, read_predictions
from fairvision.auditing.telling import EVIDENCE, codes_by_evidence
from fairvision.core import checksums
from fairvision.core.files import inside, read_json, resolved
from fairvision.core.suggestions import did_you_mean
from fairvision.datasets import Dataset, load
from fairvision.errors import InputError, shown
from fairvision.metrics.causes import REASONS
from fairvision.results.audit_folder import AUDIT, read_audit

Condition = Callable[[pd.DataFrame], Any] | Mapping[str, Any] | npt.ArrayLike

_POSSIBLE: Mapping[str, Collection[Any]] = {"reason": REASONS, "evidence": EVIDENCE}
"""Values of columns that have always the same."""


def image_table(
    folder: str | Path, where: Condition | None = None, *, data: str | Path | None = None
) -> pd.DataFrame:
    """Return the audited images, as an audit of models wrote them: a row for each, and each model.

    Columns and parameters are those of `Audit.images`; `folder` is that of the audit.
    """
    audit = read_audit(folder)
    if audit.marker != AUDIT:
        raise InputError(f"{audit.folder} is an audit of captions, not of models")
    whole = None if data is None else load(data)
    models = read_samples(audit.folder, audit.models, str(audit.settings.get("split", "")), whole)
    table = pd.concat([_of_model(model) for model in models], ignore_index=True)
    if whole is not None:
        places = image_paths(whole, models[0].truth.samples["id"], audit.folder)
        for name, paths in zip(("image", "mask"), zip(*places)):
            table[name] = list(paths) * len(models)
    return table if where is None else table[_chosen(table, where)].reset_index(drop=True)


def read_samples(
    folder: Path, names: list[str], split: str, whole: Dataset | None
) -> list[Samples]:
    """Return what the models of an audit say of each image; `InputError` where it was changed."""
    marker = resolved(folder) / AUDIT
    paths = [inside(folder, name) / "samples.parquet" for name in names]
    described = read_json(marker)
    for path in paths:
        if not path.is_file():
            raise InputError(f"{folder} has no table of each picture: they were counted")
        checksums.check(path, marker, described)
    models, _, _ = read_predictions(paths, names, split=split, data=whole)
    return models


def image_paths(whole: Dataset, ids: pd.Series, folder: Path) -> list[tuple[str, str | None]]:
    """Return the absolute paths of each image and of its mask, None without one."""
    places = Given(whole).rows(ids.to_numpy(object))
    for row in np.flatnonzero(places < 0):
        raise InputError(
            f"{whole.root} has no picture {shown(ids[int(row)])}, which {folder} is about: say by "
            "--data where the audited pictures are"
        )
    samples = whole.samples.iloc[places]
    root = Path(whole.root).absolute()
    masks = samples["mask"] if "mask" in samples else pd.Series(None, samples.index, object)
    return [
        (str(inside(root, image)), None if pd.isna(mask) else str(inside(root, mask)))
        for image, mask in zip(samples["image"], masks)
    ]


def facts(model: Samples, head: str) -> dict[str, list[Any]]:
    """Return what is known of a model's answer to each image: whether it is right, and why.

    Keys are `right`, `reason`, `evidence`, `pointing_game`, `relevance_mass` and `holds`, as far as
    they were measured; None where something is not known of an image.
    """
    codes, truth = predicted(model, head), model.truth.encoded(head)
    if codes is None or model.truth.schema.is_many(head):
        return {}
    both = (truth >= 0) & (codes >= 0)
    columns: dict[str, list[Any]] = {
        "right": [bool(same) if ok else None for same, ok in zip(truth == codes, both)]
    }
    if head not in model.truth.attributes:
        return columns
    for name, labels, of_images in (
        ("reason", REASONS, codes_by_cause(model, head)),
        ("evidence", EVIDENCE, codes_by_evidence(model, head)),
    ):
        if (of_images >= 0).any():
            columns[name] = [labels[code] if code >= 0 else None for code in of_images]
    numbers: dict[str, Any] = {measure: model.evidence(measure, head) for measure in MEASURES}
    numbers["holds"] = column(model, "holds", head)
    return columns | {name: list(values) for name, values in numbers.items() if values is not None}


def _of_model(model: Samples) -> pd.DataFrame:
    """Return the rows of a model."""
    truth = model.truth
    columns: dict[str, Any] = {"model": model.model, "id": truth.samples["id"]}
    columns |= {head: truth.samples[head] for head in truth.schema}
    for head in truth.schema:
        codes = predicted(model, head)
        if codes is None:
            continue
        names, scores = truth.schema.labels(head), model.probabilities("score", head)
        if truth.schema.is_many(head):
            columns[f"answer/{head}"] = [
                None if held[0] < 0 else tuple(names[code] for code in np.flatnonzero(held))
                for held in codes
            ]
            continue
        columns[f"answer/{head}"] = [names[code] if code >= 0 else None for code in codes]
        if scores is not None:
            best = np.take_along_axis(scores, np.maximum(codes, 0)[:, None], axis=1)[:, 0]
            columns[f"probability/{head}"] = np.where(codes >= 0, best, np.nan)
        columns |= {f"{name}/{head}": values for name, values in facts(model, head).items()}
    return pd.DataFrame(columns)


def _chosen(table: pd.DataFrame, where: Condition) -> npt.NDArray[np.bool_]:
    """Return which rows meet a condition, (n,)."""
    if isinstance(where, Mapping):
        met = [_is(table, name, value) for name, value in where.items()]
        return np.asarray(np.all(met, axis=0)) if met else np.ones(len(table), bool)
    mask = np.asarray(where(table) if callable(where) else where)
    if mask.dtype != bool or mask.shape != (len(table),):
        raise InputError(f"where has to be a mask of {len(table)} booleans, one for each row")
    return mask


def _is(table: pd.DataFrame, name: str, value: Any) -> npt.NDArray[np.bool_]:
    """Return which rows have a value, or one of several, in a column; (n,)."""
    columns = [c for c in table.columns if c == name] or [
        c for c in table.columns if str(c).startswith(f"{name}/")
    ]
    if not columns:
        names = [*table.columns, *(str(c).partition("/")[0] for c in table.columns)]
        raise InputError(f"no column {shown(name)}{did_you_mean(name, dict.fromkeys(names))}")
    values = value if isinstance(value, (list, tuple, set)) else [value]
    possible = _POSSIBLE.get(name.partition("/")[0], values)
    for one in values:
        if one not in possible:
            raise InputError(f"no {name} is {shown(one)}{did_you_mean(str(one), possible)}")
    return np.asarray(table[columns].isin(list(values)).any(axis=1))
