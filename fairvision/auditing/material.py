"""What an audit is about: what models answered, asked here or elsewhere, and the truth."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fairvision import datasets
from fairvision.attribution import WITHOUT_GRADIENTS
from fairvision.auditing import (
    clusters,
    counted_tables,
    coverage,
    group_noise,
    layouts,
    streaming,
    tables,
)
from fairvision.auditing.clusters import Clusters
from fairvision.auditing.given_answers import SCORES
from fairvision.auditing.layouts import Layout
from fairvision.auditing.names import model_names
from fairvision.auditing.score_figures import check_reference
from fairvision.auditing.steps import Division, Step, Together
from fairvision.auditing.tables import COUNTERFACTUALS, MEASURES, Samples
from fairvision.core import checksums
from fairvision.core.files import read_json
from fairvision.core.tables import open_table
from fairvision.datasets import Dataset
from fairvision.datasets.counterfactuals import ORIGINAL
from fairvision.datasets.regions import empty_regions
from fairvision.errors import FairvisionWarning, InputError

if TYPE_CHECKING:
    from fairvision.auditing.shards import SharedWork
    from fairvision.auditing.swaps import Donors
    from fairvision.models import Model, SourceOptions
    from fairvision.runs import Run
    from fairvision.runs.thresholds import Rule

GivenNoise = Mapping[str, tuple[str, pd.DataFrame]]
_NONE: GivenNoise = MappingProxyType({})


@dataclass
class Material:
    """What both ways into an audit lead to.

    Attributes
    ----------
    models : samples of each model, of the same images
    reference : truth of the training split; `train_counts` counts its rows where there are many
    dataset, fingerprint : name of the data, and what tells whether they changed
    about : what is known of each model
    notes : what the reader has to know of them
    networks : the models, where they can be asked
    methods : the attribution of each of them; None where there is none
    regions : boxes of objects in the images
    unmeasured : what could not be asked of a model, and why
    leaning : what `lean` finds, by model
    sanity : rows of the metrics table; None where they were not asked for
    donors : whose surroundings people were shown in, by attribute
    pictures : where the images of tables are, if that is known
    clusters : which images are resampled together; None where each is drawn by itself
    licence : of the data, as their folder says it
    noise : of attributes whose groups are observed with errors, what is known of these
    """

    models: list[Samples]
    reference: Dataset | None
    dataset: str
    fingerprint: str | None
    about: list[dict[str, object]]
    notes: list[str] = field(default_factory=list)
    train_counts: npt.NDArray[np.int64] | None = None
    networks: list[Model] = field(default_factory=list)
    methods: list[str | None] = field(default_factory=list)
    regions: pd.DataFrame = field(default_factory=empty_regions)
    unmeasured: list[str] = field(default_factory=list)
    leaning: dict[str, pd.DataFrame] = field(default_factory=dict)
    sanity: pd.DataFrame | None = None
    donors: Mapping[str, Donors] = field(default_factory=dict)
    pictures: Dataset | None = None
    clusters: Clusters | None = None
    licence: str = ""
    noise: group_noise.Noise = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """What the models are called."""
        return [model.model for model in self.models]

    def called(self, as_given: Callable[[str], str]) -> None:
        """Let notes, and what is known of the models, call files by other names."""
        self.notes = list(map(as_given, self.notes))
        self.about = [
            {key: as_given(of) if isinstance(of, str) else of for key, of in about.items()}
            for about in self.about
        ]


def of_subjects(
    given: Sequence[str | Path | Model] | Mapping[str, str | Path | Model],
    names: Sequence[str] | None,
    split: str,
    data: str | Path | None,
    *,
    device: str,
    options: Sequence[SourceOptions] = (),
    shared: SharedWork | None = None,
    **how: Any,
) -> Material | None:
    """Ask run folders, named models and models in Python all that an audit asks, see `of_models`.

    Scores of tasks are post-processed where a run has learnt how. `shared` is the work in shards.
    """
    from fairvision.auditing.subjects import open_subjects
    from fairvision.runs import thresholds

    subjects = open_subjects(given, names, device=device, options=options)
    runs = [subject.run for subject in subjects if subject.run is not None]
    if data is None and not runs:
        raise InputError("models that are no run folders need data: say by --data where it is")
    whole = datasets.load(_data_of(runs[0]) if data is None else data)
    if shared is not None:
        shared.check(
            data=whole.fingerprint(),
            models={subject.model.name: subject.identity() for subject in subjects},
            order=[subject.model.name for subject in subjects],
        )
    models = [subject.model for subject in subjects]
    material = of_models(models, whole, split, division=shared, **how)
    if material is None:
        return None
    material.about = [
        replace(subject, model=model).about(method)
        for subject, model, method in zip(subjects, material.networks, material.methods)
    ]
    notes = []
    for i, subject in enumerate(subjects):
        if subject.run is None:
            continue
        if subject.run.config["data"]["fingerprint"] != material.fingerprint:
            notes.append(
                f"{subject.model.name} was trained on other data, or the data has changed since"
            )
        rule = thresholds.read(subject.run)
        if rule is not None:
            samples = material.models[i]
            notes.append(f"{samples.model}: {rule.note(samples.truth)}")
            material.models[i] = post_processed(samples, rule, subject.run.config["seed"])
    material.notes = [*notes, *material.notes]
    return material


def post_processed(samples: Samples, rule: Rule, seed: int) -> Samples:
    """Return samples with the scores that a rule makes of theirs.

    What chance decides is decided for counterfactuals as for their originals, and for an image of
    which a part is hidden as for the whole.
    """
    made, scores = samples.counterfactuals, samples.scores
    if made is not None:
        drawn_as = made.truth.samples.assign(id=made.truth.samples[ORIGINAL])
        of_made = rule.applied(made.scores, replace(made.truth, samples=drawn_as), seed)
        made = replace(made, scores=of_made)
    for kind in SCORES:
        names = {
            f"{kind}/{rest}": f"score/{rest}"
            for begins, _, rest in (str(column).partition("/") for column in scores)
            if begins == kind
        }
        changed = rule.applied(scores[[*names]].rename(columns=names), samples.truth, seed)
        scores = scores.assign(**{column: changed[name] for column, name in names.items()})
    return replace(samples, scores=scores, counterfactuals=made)


def of_models(
    models: Sequence[Model],
    whole: Dataset,
    split: str,
    *,
    attribution: str,
    swaps: int,
    fill: str,
    leaning: bool | None,
    sanity: bool | None,
    sanity_pictures: int | None,
    replicates: int,
    seed: int,
    cluster: str | None = None,
    reference: str = "",
    division: Division | None = None,
    noise: GivenNoise = _NONE,
    **how: Any,
) -> Material | None:
    """Ask models all that an audit asks; several processes share the work.

    Parameters
    ----------
    models : whatever they are; their labels are those of the data
    whole : a dataset with all its splits
    split : which images are audited
    attribution, swaps, fill, leaning, sanity, sanity_pictures, replicates, seed, cluster, reference
        : as for `audit`
    division : of the work; by default each process that torchrun started takes its share
    noise : of `group_noise.read_given`
    how : further options of `collect`

    Returns
    -------
    None where another process makes the audit of it
    """
    from fairvision.auditing.capabilities import unmeasured
    from fairvision.auditing.collect import check_agrees, collecting
    from fairvision.auditing.constant_answers import nearly_constant
    from fairvision.auditing.counterfactuals import asking
    from fairvision.auditing.leaning import leaning_of_all
    from fairvision.auditing.steady import unsteady
    from fairvision.auditing.subjects import images_of, in_terms_of, looking, not_in_data
    from fairvision.auditing.swaps import columns_of, few_donors
    from fairvision.auditing.task_evidence import looking_at_tasks, with_columns
    from fairvision.runs.model import RunModel

    made, regions = whole.split(split).counterfactuals(), datasets.read_regions(whole)
    whole = whole.originals()
    audited = whole.split(split)
    check_reference(reference, audited)
    together = None if cluster is None else clusters.of_dataset(cluster, audited)
    of_groups = group_noise.of_audit(noise, audited)
    models = [in_terms_of(model, whole) for model in models]
    doubts = [not_in_data(model, whole) for model in models]
    for model in models:
        check_agrees(model, whole)
    chosen = [looking(model, attribution, audited, seed) for model in models]
    methods = [one.method for one in chosen]
    division = division or Together()
    whole_images = [
        collecting(model, audited, attribution=one.method, looked_at=one.rows, **how)
        for model, one in zip(models, chosen)
    ]
    of_made = [asking(model, made, **how) for model in models] if len(made) else []
    of_tasks = [
        looking_at_tasks(model, audited, regions, attribution=one.method, looked_at=one.rows, **how)
        for model, one in zip(models, chosen)
    ]
    donors, swapped = _swapping(models, audited, swaps=swaps, fill=fill, seed=seed, **how)
    hidden = leaning_of_all(models, audited, regions, leaning=leaning, seed=seed, **how)
    checked = _examining(
        *(models, methods, audited, sanity, sanity_pictures),
        replicates=replicates,
        seed=seed,
        **how,
    )
    steps: list[Step[Any]]
    steps = [*whole_images, *of_made, *chain(*of_tasks), *swapped, *hidden.values(), *checked]
    if not division.ahead(steps):
        return None
    doubts += [unsteady(model, audited, **how) for model in models]
    samples = list(map(division.outcome, whole_images))
    for i, step in enumerate(of_made):
        samples[i] = replace(samples[i], counterfactuals=division.outcome(step))
    samples = [
        with_columns(of_model, map(division.outcome, of_task))
        for of_model, of_task in zip(samples, of_tasks)
    ]
    for i, pairs in enumerate(swapped):
        table = columns_of(division.outcome(pairs), samples[i])
        samples[i] = replace(samples[i], scores=pd.concat([samples[i].scores, table], axis=1))
    material = Material(
        models=samples,
        reference=_training(whole),
        dataset=whole.name,
        fingerprint=whole.fingerprint(),
        about=[{"name": model.name} for model in models],
        notes=[
            *filter(None, doubts),
            *(one.note for one in chosen if one.note),
            *few_donors(donors),
        ],
        networks=list(models),
        methods=methods,
        regions=regions,
        unmeasured=list(unmeasured(models, methods, samples, regions, sanity=sanity)),
        leaning={name: division.outcome(step) for name, step in hidden.items()},
        donors=donors,
        licence=whole.licence,
        clusters=together,
        noise=of_groups,
    )
    for model, of_model in zip(models, samples):
        if not isinstance(model, RunModel):
            material.notes += nearly_constant(of_model, images_of(model))
    unsuited = (_unsuited(*triple) for triple in zip(samples, models, methods))
    material.notes += [note for note in unsuited if note]
    for check in checked:
        rows = division.outcome(check)
        material.sanity = rows if sanity or len(rows) else None
    return material


def _swapping(
    models: Sequence[Model],
    audited: Dataset,
    *,
    swaps: int,
    fill: str,
    seed: int,
    workers: int | None = None,
    **how: Any,
) -> tuple[Mapping[str, Donors], list[Step[dict[str, pd.DataFrame]]]]:
    """Return whose surroundings people are shown in, and a step of each model that does it."""
    from fairvision.auditing.swaps import plan, swapping

    if not swaps or not audited.has_masks:
        return {}, []
    donors = plan(audited, swaps=swaps, seed=seed, workers=workers)
    return donors, [
        swapping(model, audited, donors, method=fill, workers=workers, **how) for model in models
    ]


def _examining(
    models: Sequence[Model],
    methods: Sequence[str | None],
    audited: Dataset,
    asked: bool | None,
    images: int | None,
    **how: Any,
) -> list[Step[pd.DataFrame]]:
    """Return the step that checks the evidence, on as many images as were asked for, if it can."""
    from fairvision.auditing import sanity

    pairs = [(model, method) for model, method in zip(models, methods) if method is not None]
    if asked:
        how["images"] = images or sanity.PICTURES
    else:
        pairs = [
            (model, method)
            for model, method in pairs
            if model.module is not None and method not in WITHOUT_GRADIENTS  # which ask too often
        ]
        how |= {"images": images or sanity.SAMPLE, "fewer": sanity.FEWER_OF_SAMPLE}
    return [sanity.examining(pairs, audited, **how)] if pairs and asked is not False else []


def _unsuited(samples: Samples, model: Model, attribution: str | None) -> str | None:
    """Return why the maps of a network tell little about places, if any were measured and do."""
    from fairvision.auditing import coarse_maps

    evidence = [samples.evidence(MEASURES[0], head) for head in samples.truth.schema]
    measured = any(hits is not None and not np.isnan(hits).all() for hits in evidence)
    return coarse_maps.note(model, attribution) if measured and attribution else None


def of_tables(
    files: Sequence[Path],
    names: Sequence[str] | None,
    split: str,
    data: str | Path | None,
    train: str | Path | None,
    attributes: Sequence[str],
    layout: Layout,
    cluster: str | None = None,
    noise: GivenNoise = _NONE,
) -> Material:
    """Read samples tables made elsewhere; those that are too many for memory are counted."""
    every = [*files, *([Path(train)] if train is not None else [])]
    for path in every:
        _check_of_audit(path)
    are_counts = [counted_tables.is_counted(path, layout) for path in every]
    whole = None if data is None else datasets.load(data)
    train_counts, together = None, None
    if whole is not None and layout.cluster in whole.schema:
        layout = replace(layout, cluster="")  # it is truth besides
    if cluster is not None:
        clusters.check_column(cluster, files, layout, whole)
    if whole is None and not attributes and open_table(files[0]).note is None:
        attributes = [name for name in noise if name]  # whose groups err are attributes
    options: dict[str, Any] = {"split": split, "data": whole, "attributes": attributes}
    options["layout"] = layout
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FairvisionWarning)
        if any(are_counts[: len(files)]):
            if cluster is not None or whole is not None:
                raise InputError(f"{files[0]} is a table of counts: --cluster and --data need ids")
            del options["data"]
            counted = counted_tables.read_predictions(files, names, **options)
            models, reference, notes = counted.models, counted.reference, counted.notes
            train_counts = counted.train_counts
        elif streaming.too_large(files, layout):
            if cluster is not None:
                raise InputError(
                    f"{files[0]} has too many rows to be held, so pictures are counted, and "
                    "--cluster needs each of them: audit a sample of the clusters"
                )
            counted = streaming.read_predictions(files, model_names(files, names), **options)
            models, reference, notes = counted.models, counted.reference, counted.notes
            train_counts = counted.train_counts
        else:
            models, reference, notes = tables.read_predictions(
                files, model_names(files, names), **options
            )
            if cluster is not None:
                together = clusters.of_tables(cluster, files, layout, whole, models[0].truth)
    counted_only = models[0].counts is not None
    of_groups = group_noise.of_audit(
        *(noise, models[0].truth),
        files=() if counted_only else files,
        layout=layout,
        data=None if counted_only else whole,
    )
    notes += [str(w.message) for w in caught]
    if counted_only:
        notes += group_noise.unread(files, models[0].truth, whole)
    if layout.columns:
        notes += layouts.unread([open_table(path) for path in every], layout)
    notes += [line for model in models if (line := coverage.always_right(model))]
    if train is not None and are_counts[-1]:
        reference, train_counts = counted_tables.read_truth(Path(train), models[0].truth, layout)
    elif train is not None and streaming.too_large([Path(train)], layout):
        reference, train_counts = streaming.read_truth(Path(train), models[0].truth, layout)
    elif train is not None:
        reference, train_counts = tables.read_truth(Path(train), models[0].truth, layout), None
    elif whole is not None:
        reference, train_counts = _training(whole.originals()), None
    return Material(
        models=models,
        reference=reference,
        train_counts=train_counts,
        dataset=files[0].name if whole is None else whole.name,
        fingerprint=None if whole is None else whole.originals().fingerprint(),
        about=[
            {"name": model.model, "file": str(file), **layout.as_json()}
            for model, file in zip(models, files if len(files) > 1 else [files[0]] * len(models))
        ],
        notes=notes,
        pictures=whole,
        licence="" if whole is None else whole.licence,
        clusters=together,
        noise=of_groups,
    )


def _check_of_audit(path: Path) -> None:
    """Raise `InputError` where a table of an audit's folder is not as the audit wrote it."""
    path = path.absolute()
    for description in (folder / "audit.json" for folder in path.parents[:2]):
        if description.is_file():
            checksums.check(path, description, read_json(description))


def write(material: Material, folder: Path) -> None:
    """Write what the figures are computed from: a row per image, or counts of them."""
    reference, counts = material.reference, material.train_counts
    if material.models[0].counts is not None:
        streaming.write(material.models, folder / "counts.parquet")
    else:
        together = material.clusters
        more = {} if together is None else {f"cluster/{together.column}": together.of_image}
        for attribute, of in material.noise.items():
            if of.validated is not None:
                more[f"{group_noise.KIND}/{attribute}"] = of.validated
        for model in material.models:
            (folder / model.model).mkdir()
            tables.write(model, folder / model.model / "samples.parquet", more)
            if model.counterfactuals is not None:
                tables.write(model.counterfactuals, folder / model.model / COUNTERFACTUALS)
    if reference is not None and counts is not None:
        streaming.write_truth(reference, counts, folder / "train_counts.parquet")
    elif reference is not None:
        tables.write_truth(reference, folder / "train.parquet")
    for name, table in material.leaning.items():
        table.to_parquet(folder / name / "leaning.parquet", index=False)


def _data_of(run: Run) -> Path:
    """Return the dataset folder a run was trained on; raise `InputError` if it has moved."""
    path = Path(str(run.config["data"].get("path", "")))
    if not (path / "dataset.json").is_file():
        raise InputError(
            f"the data of run {run.folder} is not at {path}: say where it is by --data"
        )
    return path


def _training(whole: Dataset) -> Dataset | None:
    """Return the training split of a dataset, and None if it has no such images."""
    return whole.split("train") if (whole.samples["split"] == "train").any() else None
