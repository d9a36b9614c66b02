"""Auditing captioners that fairvision trained: they write, and are asked why."""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from fairvision import metrics
from fairvision.attribution import word_maps
from fairvision.auditing.clusters import of_dataset
from fairvision.auditing.names import model_names
from fairvision.auditing.swaps import SWAPS, Donors, few_donors, plan
from fairvision.captioning.asked import Asked
from fairvision.captioning.asking import ask
from fairvision.captioning.folder import MARKER, CaptionAudit, check_columns, conclude, described
from fairvision.captioning.labels import Labels
from fairvision.captioning.material import Material, named_objects
from fairvision.captioning.measures import ModelCaptions
from fairvision.core.files import check_vacant
from fairvision.datasets import FILLS, Dataset, load
from fairvision.errors import FairvisionWarning, InputError
from fairvision.metrics import caption_genders
from fairvision.metrics.caption_texts import RuleName, check_rule
from fairvision.metrics.caption_words import GENDER_WORDS, OTHER, words_for
from fairvision.models import find_device
from fairvision.models.adapters.captioner_files import is_captioner
from fairvision.models.beam_search import BEAMS
from fairvision.results.findings import check_smallest
from fairvision.results.folder import CaptionSettings
from fairvision.runs import Run, as_run
from fairvision.runs.caption_model import CaptionModel, as_caption_model, source_folder
from fairvision.schema import Schema, Task

BY_PEOPLE = "named by people"
"""The attribute where no groups are annotated: whom the captions of people name."""
ATTRIBUTIONS = ("auto", "none", *word_maps.METHODS)


def audit_captioners(
    runs: Sequence[Run | str | Path] | Run | str | Path,
    *,
    output: str | Path,
    data: str | Path | None = None,
    split: str = "test",
    attribution: str = "auto",
    names: Sequence[str] | None = None,
    beams: int = BEAMS,
    swaps: int = SWAPS,
    fill: str = FILLS[0],
    cluster: str | None = None,
    simultaneous: bool = False,
    smallest_difference: float = 0.0,
    rounds: int = 10,
    tokens: RuleName = "coco",
    replicates: int = 1000,
    seed: int = 0,
    device: str = "auto",
    batch_size: int = 64,
    workers: int | None = None,
    cache: str = "auto",
    overwrite: bool = False,
    quiet: bool = True,
) -> CaptionAudit:
    """Compare captioners that were trained here: what they write, of whom, and why.

    The folder is that of `fairvision.captions`, with the captions of each model beside it, in
    COCO's format of results: `<model>/captions.json`.

    Parameters
    ----------
    runs : run folders of `fairvision train --captions`, and hf:FOLDER, captioners of transformers;
        the others are compared with the first
    output : folder to write
    data : dataset folder; by default the one that the first run was trained on
    split : which images are audited; the training split is the reference of amplification
    attribution : evidence for the first word that names a group: one of
        `fairvision.attribution.word_maps.METHODS`; "auto" is gradcam, "none" looks for none
    names : what the models are called; by default after their folders
    beams : of the beam search
    swaps, fill : in the surroundings of so many images of other groups each person is shown, and
        how the place of a person in these is filled
    cluster : column of the dataset's table; images with the same value are resampled together
    simultaneous, smallest_difference : as of `fairvision.captions`
    rounds : of LIC; 0 leaves it out
    tokens : what captions are cut into for BLEU, CIDEr and ROUGE-L: "coco", "words" of any script,
        or "characters", as of `metrics.bleu`
    replicates, seed : of the intervals
    device, batch_size, workers, cache : where and how the models run
    overwrite : replace what an earlier audit wrote in `output`
    quiet : show no progress

    Raises
    ------
    InputError
        If runs and dataset do not fit together, or `output` is not vacant. Nothing is written then.

    Examples
    --------
    >>> done = audit_captioners(["baseline", "equalizer"], output="audit")  # doctest: +SKIP
    """
    check_vacant(output, marker=MARKER, overwrite=overwrite)
    if min(replicates, batch_size, beams) < 1 or min(rounds, swaps) < 0:
        raise InputError(
            "replicates, batch_size and beams must be 1 or more, rounds and swaps 0 or more"
        )
    check_smallest(smallest_difference)
    check_rule(tokens)
    if attribution not in ATTRIBUTIONS:
        raise InputError(
            f"of words attribution {attribution!r} is not one of {', '.join(ATTRIBUTIONS)}"
        )
    if fill not in FILLS:
        raise InputError(f"fill {fill!r} is not one of {', '.join(FILLS)}")
    method = word_maps.DEFAULT if attribution == "auto" else attribution
    listed = [runs] if isinstance(runs, (Run, str, Path)) else [*runs]
    if not listed:
        raise InputError("give at least one run")
    opened = [one if is_captioner(str(one)) else as_run(one) for one in listed]
    called = model_names([source_folder(one) for one in opened], names)
    first_run = next((one for one in opened if isinstance(one, Run)), None)
    models = [
        as_caption_model(one, find_device(device), name=name, like=first_run)
        for one, name in zip(opened, called)
    ]
    first = models[0]
    if odd := [model for model in models if model.words != first.words]:
        raise InputError(
            f"{odd[0]} names groups by other words than {first}: train both with the same --words"
        )
    console = Console(stderr=True, quiet=quiet)
    with python_warnings.catch_warnings(record=True) as doubts:
        python_warnings.simplefilter("always", FairvisionWarning)
        dataset = load(data if data is not None else _data_of(first_run)).originals()
        audited = dataset.split(split)
        people = audited.captions if audited.has_captions else None
        words, truth, reference = _labels(first, dataset, audited, split)
        check_columns(truth, called)
        donors = _donors(truth, audited, words, swaps, seed, workers) if swaps else None
        asked = [
            ask(
                model,
                audited,
                donors,
                words,
                attribution=None if method == "none" else method,
                fill=fill,
                beams=beams,
                batch_size=batch_size,
                workers=workers,
                cache=cache,
                quiet=quiet,
            )
            for model in models
        ]
    together = None if cluster is None else of_dataset(cluster, audited)
    human = None if people is None else [of_image or None for of_image in people]
    material = Material(
        models=[_captions(name, of, truth, words) for name, of in zip(called, asked)],
        truth=truth,
        words=words,
        hidden=None if _are_published(words) else {g: sorted(of) for g, of in words.items()},
        reference=reference,
        human=human if human and any(human) else None,
        asked=([], truth.of([])),
        images=_files(audited, "image"),
        masks=_files(audited, "mask"),
        counts=dict.fromkeys(called, len(audited)),
        notes=[] if donors is None else few_donors({truth.attribute: donors}),
    )
    settings = CaptionSettings(
        dataset=dataset.name,
        split=split,
        reference=None if reference is None else f"{dataset.name}, train",
        human=None if material.human is None else dataset.name,
        rounds=rounds,
        tokens=tokens,
        replicates=replicates,
        seed=seed,
        runs=[
            {
                "name": model.name,
                **model.about,
                "attribution": method,
                "beams": beams,
                "swaps": swaps,
            }
            for model in models
        ],
        simultaneous={} if simultaneous else None,
        smallest_difference=smallest_difference,
        clusters={} if together is None else together.as_json(),
        **described(material),
    )
    done = conclude(
        material,
        Path(output),
        settings,
        doubts=[str(doubt.message) for doubt in doubts],
        overwrite=overwrite,
        console=console,
        together=together,
        files={f"{name}/captions.json": _results(of) for name, of in zip(called, asked)},
    )
    for message in done.verdict.warnings:
        python_warnings.warn(message, FairvisionWarning, stacklevel=2)
    return done


def _are_published(words: Mapping[str, frozenset[str]]) -> bool:
    """Tell whether words are the published ones of a gender, for which LIC masks further ones."""
    return {*words.values()} == {*GENDER_WORDS.values()}


def _files(dataset: Dataset, column: str) -> dict[str, Path]:
    """Return the files of a column by the ids of their images."""
    pairs = dataset.samples[["id", column]].dropna()
    return {image: dataset.root / path for image, path in zip(pairs["id"], pairs[column])}


def _data_of(run: Run | None) -> Path:
    """Return the dataset folder that a run was trained on."""
    if run is None:
        raise InputError(
            "on what captioners of transformers are audited is not said: name a dataset folder by "
            "--data"
        )
    path = run.config["data"].get("path", "")
    if not path or not Path(path).is_dir():
        raise InputError(
            f"the data that run {run.folder} was trained on is not at {path or 'any place'}: name "
            "a dataset folder by --data"
        )
    return Path(path)


def _labels(
    model: CaptionModel, dataset: Dataset, audited: Dataset, split: str
) -> tuple[dict[str, frozenset[str]], Labels, Labels | None]:
    """Return the words of each group, the labels of the audited images, and of the training split.

    The groups are those of the attribute that the model's captions name. Where the dataset does not
    annotate it, they are whom the captions of people name.
    """
    attribute = _attribute(model, dataset)
    task = next((name for name, task in dataset.tasks.items() if task.many), "")
    task = task or next(iter(dataset.tasks), "")
    if attribute is None:
        if not audited.has_captions:
            raise InputError(
                f"{dataset.root} annotates no attribute that captions name, nor has it captions of "
                "people that name groups: add a column for either"
            )
        words = {group: frozenset(of) for group, of in model.words.items()}
        attribute = BY_PEOPLE
        groups = {name: _named_by_people(of, words) for name, of in _parts(dataset, split).items()}
    else:
        words = _words(model, attribute, dataset)
        groups = {
            name: of.samples[attribute].to_list() for name, of in _parts(dataset, split).items()
        }
    schema = Schema(
        {attribute: tuple(words)},
        {task: Task(dataset.tasks[task].labels, many=True)} if task else {},
    )
    labels = {
        name: Labels(
            dataset.root, attribute, task, _with_schema(of, schema, attribute, task, groups[name])
        )
        for name, of in _parts(dataset, split).items()
    }
    return words, labels[split], labels.get("train") if split != "train" and task else None


def _parts(dataset: Dataset, split: str) -> dict[str, Dataset]:
    """Return the audited split and the training split, where it is another."""
    names = [split]
    if split != "train" and (dataset.samples["split"] == "train").any():
        names.append("train")
    return {name: dataset.split(name) for name in names}


def _named_by_people(dataset: Dataset, words: Mapping[str, frozenset[str]]) -> list[str | None]:
    """Return the group that the captions of people name; None where none or several."""
    named = caption_genders([of or None for of in dataset.captions], words)
    return [None if one in (None, OTHER) else one for one in named]


def _attribute(model: CaptionModel, dataset: Dataset) -> str | None:
    """Return the attribute of a dataset that captions name; None where it annotates none.

    A model that was trained without may name the groups of one.
    """
    if model.attribute is not None:
        return model.attribute if model.attribute in dataset.attributes else None
    fitting = [
        name for name, groups in dataset.attributes.items() if _words_for(model, groups) is not None
    ]
    return fitting[0] if len(fitting) == 1 else None


def _words(model: CaptionModel, attribute: str, dataset: Dataset) -> dict[str, frozenset[str]]:
    """Return the words of the groups of an attribute."""
    groups = dataset.attributes[attribute]
    words = _words_for(model, groups)
    if words is None:
        raise InputError(
            f"{model} names the groups {', '.join(model.words)}, and {dataset.root} annotates "
            f"{attribute!r} as {', '.join(groups)}: audit it on data with the same groups"
        )
    return words


def _words_for(model: CaptionModel, groups: Sequence[str]) -> dict[str, frozenset[str]] | None:
    """Return the words by which a model names groups, and others; None where it has none for some.

    The published words of a gender stand for its groups however these are called.
    """
    words = {group: frozenset(of) for group, of in model.words.items()}
    if {*groups} <= {*words}:
        return words
    if not _are_published(words):
        return None
    try:
        return words_for(groups, None)
    except InputError:
        return None


def _with_schema(
    dataset: Dataset, schema: Schema, attribute: str, task: str, groups: Sequence[str | None]
) -> Dataset:
    """Return the ids of a dataset with groups, and with labels of which several may hold."""
    columns = {attribute: schema.column(attribute, list(groups))}
    if task:
        held = [
            (of,) if isinstance(of, str) else None if of is None else tuple(of)
            for of in dataset.samples[task]
        ]
        columns[task] = schema.column(task, held)
    samples = pd.DataFrame({"id": dataset.samples["id"].astype(object)})
    return Dataset.of_columns(schema, samples, columns, root=dataset.root, name=dataset.name)


def _donors(
    truth: Labels,
    audited: Dataset,
    words: Mapping[str, frozenset[str]],
    swaps: int,
    seed: int,
    workers: int | None,
) -> Donors | None:
    """Return in whose surroundings people are shown; None without masks."""
    if not audited.has_masks:
        return None
    groups = pd.Series(truth.rows["group"].to_numpy(), dtype=object)
    asked = replace(
        audited,
        attributes={truth.attribute: tuple(words)},
        samples=audited.samples.assign(**{truth.attribute: groups}),
    )
    return plan(asked, swaps=swaps, seed=seed, workers=workers)[truth.attribute]


def _captions(
    name: str, asked: Asked, truth: Labels, words: Mapping[str, frozenset[str]]
) -> ModelCaptions:
    """Return what a model wrote, with the groups and objects that it names."""
    objects = named_objects(asked.whole, truth.vocabulary) if truth.task else None
    named = metrics.caption_genders(asked.whole, words)
    return ModelCaptions(name, list(asked.whole), named, objects, asked)


def _results(asked: Asked) -> list[dict[str, Any]]:
    """Return captions in COCO's format of results; ids that are numbers, as numbers."""
    numbers = {int(image) for image in asked.ids if image.isdecimal()}
    as_numbers = len(numbers) == len(asked.ids)
    return [
        {"image_id": int(image) if as_numbers else image, "caption": text}
        for image, text in zip(asked.ids, asked.whole)
    ]
