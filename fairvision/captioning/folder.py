"""From files of captions to the folder with the report."""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
from rich.console import Console

from fairvision.auditing.clusters import Clusters
from fairvision.auditing.names import model_names
from fairvision.captioning import verdict
from fairvision.captioning.album import album, opposed
from fairvision.captioning.labels import SPLIT, Labels, read_clusters, read_labels
from fairvision.captioning.material import Material, gather
from fairvision.captioning.measures import ModelCaptions, measure_together
from fairvision.captioning.verdict import cautions, left_out
from fairvision.core.files import check_vacant, whole_folder, write_json
from fairvision.core.version import versions
from fairvision.errors import FairvisionWarning, InputError, shown
from fairvision.metrics.caption_texts import RuleName, check_rule
from fairvision.results.figures import CONFIDENCE
from fairvision.results.findings import check_smallest
from fairvision.results.folder import CaptionSettings, FinishedAudit, write_audit
from fairvision.results.verdict import Verdict

MARKER = "captions.json"
LIBRARIES = ("numpy", "pandas", "scikit-learn")


class CaptionAudit(FinishedAudit):
    """A finished audit of captions."""


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
    cluster: str | None = None,
    simultaneous: bool = False,
    smallest_difference: float = 0.0,
    rounds: int = 10,
    tokens: RuleName = "coco",
    replicates: int = 1000,
    seed: int = 0,
    overwrite: bool = False,
    quiet: bool = True,
) -> CaptionAudit:
    """Compare captioners: whom their captions name, and what the rest tells. Writes the report.

    Parameters
    ----------
    files : captions of each model, in COCO's format of results; the others are compared with the
        first. The images that all models and the labels table have are audited.
    labels : csv or parquet with `image_id`, a column of groups, and perhaps one of objects
    output : folder to write
    split_column, split : which rows of the labels table are audited; by default all
    attribute : the column of groups; by default `gender`, or the only one that is left
    objects : the column of objects; by default `objects`, where there is one
    words : JSON, the words of each group; by default those of `metrics.caption_genders`
    object_words : JSON, words that name an object besides its own name and plural
    human : JSON, what people wrote of the images, for LIC, BLEU-4, CIDEr and ROUGE-L
    train : labels table of the training split, the reference of amplification
    names : what the models are called; by default after their files
    images : folder with the images; without it the report shows captions alone
    show : ids of images that the report is to show, also of other splits
    cluster : column of the labels table that says which images are no independent evidence, such
        as all of one scene: these are resampled together. See docs/uncertainty.md.
    simultaneous : widen the intervals behind all findings so that they hold together (max-t), and
        correct their p-values by Holm; see docs/uncertainty.md
    smallest_difference : in points (hundredths): a gap whose interval lies within it is shown to be
        small, and no concern; 0 for none
    rounds : of LIC; 0 leaves it out
    tokens : what captions are cut into for BLEU, CIDEr and ROUGE-L: "coco", "words" of any script,
        or "characters", as of `metrics.bleu`
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
    check_smallest(smallest_difference)
    check_rule(tokens)
    paths = [Path(files)] if isinstance(files, (str, Path)) else [Path(file) for file in files]
    if not paths:
        raise InputError("give at least one file of captions")
    stems = [path.stem.removeprefix("captions_") or path.stem for path in paths]
    called = model_names([path.with_name(stem) for path, stem in zip(paths, stems)], names)
    console = Console(stderr=True, quiet=quiet)
    with console.status("reads captions"), python_warnings.catch_warnings(record=True) as doubts:
        python_warnings.simplefilter("always", FairvisionWarning)
        tables = read_labels(
            Path(labels),
            attribute=attribute,
            objects=objects,
            split_column=split_column,
            split=split,
            cluster=cluster,
        )
        check_columns(tables[0], called)
        material = gather(
            dict(zip(called, paths)),
            tables,
            words=_path(words),
            object_words=_path(object_words),
            human=_path(human),
            train=_path(train),
            images=_path(images),
            show=list(map(str, show)),
        )
        together = None
        if cluster is not None:
            together = read_clusters(Path(labels), cluster, material.truth.ids)
    whole = len(tables[0]) == len(tables[1])
    done = conclude(
        material,
        Path(output),
        CaptionSettings(
            dataset=Path(labels).name,
            split="" if whole else f"{split_column or 'split'} = {split or SPLIT}",
            reference=None if train is None else Path(train).name,
            human=None if human is None else Path(human).name,
            rounds=rounds,
            tokens=tokens,
            replicates=replicates,
            seed=seed,
            runs=[
                {"name": name, "file": path.name, "captions": material.counts[name]}
                for name, path in zip(called, paths)
            ],
            simultaneous={} if simultaneous else None,
            smallest_difference=smallest_difference,
            clusters={} if together is None else together.as_json(),
            **described(material),
        ),
        together=together,
        doubts=[str(doubt.message) for doubt in doubts],
        overwrite=overwrite,
        console=console,
    )
    for message in done.verdict.warnings:
        python_warnings.warn(message, FairvisionWarning, stacklevel=2)
    return done


def check_columns(truth: Labels, models: Sequence[str]) -> None:
    """Raise `InputError` where a column of labels is called as one that is written of a model."""
    for name in filter(None, (truth.attribute, truth.task)):
        of_model = any(name.endswith(f"/{model}") for model in models)
        if name == "id" or of_model or name.startswith("cluster/"):
            raise InputError(
                f"{truth.path}: a column of labels cannot be called {shown(name)}, as a column of "
                "captions.parquet is: rename it"
            )


def described(material: Material) -> dict[str, Any]:
    """Return the settings that follow from what is audited."""
    truth, kinds = material.truth, material.words
    groups = truth.rows["group"]
    return {
        "n": len(truth),
        "attribute": truth.attribute,
        "task": truth.task,
        "groups": list(kinds),
        "words": {group: sorted(of_group) for group, of_group in kinds.items()},
        "confidence": CONFIDENCE,
        "versions": versions(*LIBRARIES),
        "counts": [{truth.attribute: group, "n": int((groups == group).sum())} for group in kinds],
    }


def conclude(
    material: Material,
    output: Path,
    settings: CaptionSettings,
    *,
    doubts: Sequence[str],
    overwrite: bool,
    console: Console,
    together: Clusters | None = None,
    files: Mapping[str, Any] = MappingProxyType({}),
) -> CaptionAudit:
    """Measure, judge and write what was gathered.

    Parameters
    ----------
    material : captions and labels of the same images
    output : folder to write
    settings : how the audit was made
    doubts : what was told as it was read
    together : which images are resampled together, if any
    files : JSON files that the folder has besides, by their paths within it
    """
    truth, kinds = material.truth, material.words
    called = [model.model for model in material.models]
    with console.status("measures"), python_warnings.catch_warnings(record=True) as caught:
        python_warnings.simplefilter("always", FairvisionWarning)
        python_warnings.filterwarnings("ignore", "there are only", FairvisionWarning)
        figures, joint = measure_together(
            material.models,
            truth,
            kinds,
            reference=material.reference,
            human=material.human,
            hidden=material.hidden,
            rounds=settings.rounds,
            tokens=settings.tokens,
            replicates=settings.replicates,
            seed=settings.seed,
            cluster=None if together is None else together.codes,
            simultaneous=settings.simultaneous is not None,
        )
    settings = replace(settings, simultaneous=None if joint is None else joint.as_json())
    about_data = cautions(material.models, truth, kinds, material.human)
    before = [*doubts, *material.notes, *about_data]
    before += [] if joint is None else [joint.caution]
    if together is not None:
        groups = truth.groups
        before += together.cautions({truth.attribute: (groups, truth.codes(groups).codes)})
    notes = list(dict.fromkeys([*before, *(str(w.message) for w in caught)]))
    absent = left_out(
        truth, kinds, reference=material.reference, human=material.human, rounds=settings.rounds
    )
    smallest = settings.smallest_difference
    decided = verdict.judge(
        figures, called, left_out=absent, warnings=notes, smallest_difference=smallest
    )
    with console.status("writes"):
        table = _table(material.models, truth, together)
        _write(output, material, table, figures, decided, settings, files, overwrite)
    return CaptionAudit(output, figures, decided, smallest)


def _path(given: str | Path | None) -> Path | None:
    """Return a given path as a `Path`, and None if none is given."""
    return None if given is None else Path(given)


def _write(
    output: Path,
    material: Material,
    table: pd.DataFrame,
    figures: pd.DataFrame,
    decided: Verdict,
    settings: CaptionSettings,
    files: Mapping[str, Any],
    overwrite: bool,
) -> None:
    """Write the folder of an audit of captions: table, figures, verdict and page."""
    from fairvision.report.captions import render

    called = [model.model for model in material.models]
    page = render(
        metrics=figures,
        models=called,
        verdict=decided,
        gallery=album(material, seed=settings.seed),
        opposed=opposed(material),
        settings=settings,
    )
    with whole_folder(output, marker=MARKER, overwrite=overwrite) as folder:
        table.to_parquet(folder / "captions.parquet", index=False)
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_json(folder / name, content)
        write_audit(
            folder, MARKER, page, figures, models=called, settings=settings, verdict=decided
        )


def _table(
    models: Sequence[ModelCaptions], truth: Labels, together: Clusters | None
) -> pd.DataFrame:
    """Return a row per image: the truth, and of each model its caption and what that names."""
    columns: dict[str, object] = {"id": truth.rows["id"], truth.attribute: truth.rows["group"]}
    if together is not None:
        columns[f"cluster/{together.column}"] = together.of_image
    if truth.task:
        columns[truth.task] = truth.rows["objects"]
    for model in models:
        columns[f"caption/{model.model}"] = model.captions
        columns[f"named/{model.model}"] = model.named
        columns[f"outcome/{model.model}"] = model.outcomes(truth)
        if model.asked is not None:
            columns |= model.asked.columns(model.model)
        if model.objects is not None:
            labels = model.objects.columns.to_numpy()
            columns[f"objects/{model.model}"] = [
                list(labels[row]) for row in model.objects.to_numpy(bool)
            ]
    return pd.DataFrame(columns)
