"""The audit folder: from runs, or from tables made elsewhere, to the report."""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pandas as pd

from fairvision.attribution import METHODS
from fairvision.auditing import cautions, leaning_figures, task_gallery, verdict
from fairvision.auditing import group_noise as group_errors
from fairvision.auditing.album import album
from fairvision.auditing.given_streams import Source, as_files
from fairvision.auditing.image_table import Condition, image_table
from fairvision.auditing.layouts import Layout
from fairvision.auditing.mask_cautions import predicted_masks, with_gap_of_masks
from fairvision.auditing.material import Material, of_subjects, of_tables, write
from fairvision.auditing.measures import measure_together
from fairvision.auditing.miniatures import side_shown
from fairvision.auditing.score_figures import check_reference
from fairvision.auditing.shards import Shards, SharedWork
from fairvision.auditing.tables import Samples
from fairvision.core import processes
from fairvision.core.command import command
from fairvision.core.files import check_vacant, read_json, whole_folder
from fairvision.core.suggestions import did_you_mean
from fairvision.core.version import versions
from fairvision.datasets import FILLS
from fairvision.errors import FairvisionWarning, InputError
from fairvision.results.figures import CONFIDENCE, read_metrics
from fairvision.results.findings import check_smallest
from fairvision.results.folder import AuditSettings, FinishedAudit, write_audit
from fairvision.results.gallery import GalleryImage
from fairvision.results.verdict import Verdict

if TYPE_CHECKING:
    from fairvision.models import Model, SourceOptions

    Subjects = Sequence[str | Path | Model] | Mapping[str, str | Path | Model] | str | Path | Model

MARKER = "audit.json"
ATTRIBUTIONS = ("auto", "none", *METHODS)
MISSING = ("leave-out", "wrong")
LIBRARIES = ("torch", "torchvision", "captum", "numpy", "pandas")
PER_KIND = 4
MOST_SWAPS = 1000


class Audit(FinishedAudit):
    """A finished audit of models.

    In a notebook it shows its headline, what was found, and the accuracies.
    """

    def images(
        self, where: Condition | None = None, *, data: str | Path | None = None
    ) -> pd.DataFrame:
        """Return the audited images: a row for each, and each model.

        Columns are `model`, `id`, the truth of each attribute and task, and for each of them that
        the model answers `answer/<name>`, `probability/<name>` and `right/<name>`; of attributes,
        where they were measured, `reason/<name>` (why it is right or wrong, by cause),
        `evidence/<name>` (right or wrong, and where the strongest evidence lies), `holds/<name>`,
        `pointing_game/<name>` and `relevance_mass/<name>`. What is not known is missing.

        Parameters
        ----------
        where : which rows: a dictionary from columns to a value or a list of values, all of which
            have to be met, where `reason` stands for any column `reason/…`; a function from the
            table to a mask; or a mask. By default all.
        data : dataset folder with the images: adds `image` and `mask`, the paths of their files

        Raises
        ------
        InputError
            The folder was changed or counted its images; a column is not there.

        Examples
        --------
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> answers = {"id": range(20), "gender": ["female", "male"] * 10,
        ...            "predicted/gender": ["female", "male"] * 9 + ["male", "female"]}
        >>> pd.DataFrame(answers).to_csv(folder / "mine.csv", index=False)
        >>> done = audit(predictions=folder / "mine.csv", output=folder / "audit")
        >>> done.images(where={"right": False})
          model  id  gender answer/gender right/gender
        0  mine  18  female          male        False
        1  mine  19    male        female        False
        """
        return image_table(self.folder, where, data=data)


def audit(
    runs: Subjects = (),
    *,
    output: str | Path,
    data: str | Path | None = None,
    split: str = "test",
    attribution: str = "auto",
    predictions: Sequence[Source] | Mapping[str, Source] | Source | None = None,
    train: Source | None = None,
    attributes: Sequence[str] = (),
    columns: Mapping[str, str | Sequence[str]] = MappingProxyType({}),
    logits: bool = False,
    cluster: str | None = None,
    group_noise: group_errors.Given = None,
    names: Sequence[str] | None = None,
    options: Sequence[SourceOptions] = (),
    missing: str = MISSING[0],
    replicates: int = 1000,
    seed: int = 0,
    reference: str = "",
    simultaneous: bool = False,
    smallest_difference: float = 0.0,
    device: str = "auto",
    batch_size: int = 64,
    workers: int | None = None,
    cache: str = "auto",
    swaps: int = 8,
    fill: str = FILLS[0],
    leaning: bool | None = None,
    sanity: bool | None = None,
    sanity_pictures: int | None = None,
    shards: Shards | str | Path | None = None,
    overwrite: bool = False,
    quiet: bool = True,
) -> Audit:
    """Compare models: errors, amplification, evidence. Writes the report.

    Parameters
    ----------
    runs : run folders, models in Python (`fairvision.Model`, `fairvision.BlackBox`), or models of
        other libraries by their names, such as "timm:resnet18"; a dictionary gives them names. The
        first is the one that the others are compared with.
    output : folder to write
    data : dataset folder; by default the one that the first run folder was trained on
    split : which images are audited. The training split is the reference of amplification.
    attribution : one of `fairvision.attribution.METHODS`; "none" looks for no evidence, "auto"
        takes hirescam, and occlusion for models without gradients
    predictions : samples tables made elsewhere, instead of runs: parquet or csv, folders of parquet
        files, anything with `__arrow_c_stream__` (DuckDB, Polars, pyarrow), or
        "duckdb:FILE?QUERY"; a dictionary gives the models names. Those of more than two million
        rows are counted, not held; see docs/audit.md and docs/lakes.md.
    train : table with the truth of the training split, for `predictions`
    attributes : with `predictions`, columns that are attributes, where the tables do not say it
    columns : with `predictions`, what columns are called in the tables, such as
        `{"id": "image_id"}`; several names where tables differ
    logits : with `predictions`, whether scores are logits: softmax over the labels makes
        probabilities of them, sigmoid where many labels may hold
    cluster : column of the dataset's table, or of those of `predictions`, that says which images
        are no independent evidence, such as all of one person: these are resampled together. See
        docs/uncertainty.md.
    group_noise : where groups are predicted, or annotated with errors: a table of validated images
        by true and observed group, or its file; by attribute, where there are several. A column
        `validated/<attribute>` with the true groups of some images does as well. See
        docs/uncertainty.md.
    names : what the models are called; by default after their folders or files
    options : what is told about models by name (`fairvision.models.SourceOptions`), once for all of
        them or once for each
    missing : what images without an answer of the model are to its accuracies: "leave-out" of
        them, or answered "wrong"
    replicates : bootstrap replicates of the 95% intervals
    seed : of the bootstrap; the models share its draws, so differences are paired
    reference : group of an attribute whose accuracy those of its other groups are compared with
    simultaneous : widen the intervals behind all findings so that they hold together (max-t), and
        correct their p-values by Holm; see docs/uncertainty.md
    smallest_difference : in points (hundredths): a gap whose interval lies within it is shown to be
        small, and no concern; 0 for none
    device, batch_size, workers : where and how the models run
    cache : whether decoded images are kept on the disk, see `fairvision.datasets.open_pixels`
    swaps : in the surroundings of so many images of other groups each person is shown; 0 for none,
        at most 1000. See docs/swaps.md.
    fill : how the place of a person in these is filled, one of
        `fairvision.datasets.FILLS`
    leaning : hide the person, the context and each class of objects and ask the models again; by
        default where the dataset says where objects are. See docs/leaning.md for what it costs.
    sanity : check whether the evidence depends on the weights, the image and the mask, on 200
        images; by default on a sample of 24, where models have weights and images masks. See
        docs/sanity.md for what it costs.
    sanity_pictures : on how many images instead
    shards : a folder that any number of processes share, of whatever machines, each of which calls
        this alike: they divide the images, and one of them writes `output`. See docs/shards.md.
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
    if shards is not None and not isinstance(shards, Shards):
        shards = Shards(Path(shards))
    if shards is None or not shards.is_made(output):
        check_vacant(output, marker=MARKER, overwrite=overwrite)
    if replicates < 1 or batch_size < 1:
        raise InputError("replicates and batch_size must be 1 or more")
    models = runs if isinstance(runs, Mapping) else _listed(runs)
    files = predictions if isinstance(predictions, Mapping) else _listed(predictions)
    if bool(models) == bool(files):
        raise InputError("give either runs, or tables with --predictions")
    if files and shards is not None:
        raise InputError("tables are not asked anything: --shards is for runs")
    if files and leaning:
        raise InputError("what models lean on is not in tables: --leaning is for runs")
    if files and sanity:
        raise InputError("tables cannot be asked again: --sanity is for runs")
    check_smallest(smallest_difference)
    if missing not in MISSING:
        raise InputError(f"missing {missing!r} is not one of {', '.join(MISSING)}")
    if not 0 <= swaps <= MOST_SWAPS:
        raise InputError(f"swaps must be 0 to {MOST_SWAPS}, not {swaps}")
    if fill not in FILLS:
        raise InputError(f"unknown fill {fill!r}: one of {', '.join(FILLS)}")
    if sanity_pictures is not None and sanity_pictures < 1:
        raise InputError("sanity_pictures must be 1 or more")
    if models and (train is not None or attributes or columns or logits):
        raise InputError(
            "--train, --attribute, --column and --logits are for tables: add --predictions"
        )
    layout = Layout.of(columns, logits, "" if cluster is None or cluster in attributes else cluster)
    if models and attribution not in ATTRIBUTIONS:
        hint = did_you_mean(attribution, ATTRIBUTIONS)
        raise InputError(
            f"unknown attribution {attribution!r}: one of {', '.join(ATTRIBUTIONS)}{hint}"
        )
    noise = group_errors.read_given(group_noise)
    work = done = material = None
    if shards is not None:
        decisive = {
            **{"split": split, "attribution": attribution, "missing": missing, "cluster": cluster},
            **{"swaps": swaps, "fill": fill, "leaning": leaning, "sanity": sanity},
            **{"sanity_pictures": sanity_pictures, "replicates": replicates, "seed": seed},
            **{"simultaneous": simultaneous, "smallest_difference": smallest_difference},
            **{"batch_size": batch_size, "versions": versions(*LIBRARIES)},
            "reference": reference,
            "group_noise": {name: table.to_dict() for name, (_, table) in noise.items()},
        }
        work = SharedWork(shards, Path(output), decisive)
        cache = "never" if cache == "auto" else cache  # it would hold the images of all shards
    with processes.alone(work is not None), work or nullcontext():
        processes.wait()  # all have seen that the output is vacant
        first = processes.is_first()
        if models:
            with processes.only_first_warns():
                material = of_subjects(
                    *(models, names, split, data),
                    attribution=attribution,
                    swaps=swaps,
                    fill=fill,
                    leaning=leaning,
                    sanity=sanity,
                    sanity_pictures=sanity_pictures,
                    replicates=replicates,
                    seed=seed,
                    cluster=cluster,
                    reference=reference,
                    noise=noise,
                    device=device,
                    options=options,
                    batch_size=batch_size,
                    workers=workers,
                    cache=cache,
                    quiet=quiet or not first,
                    shared=work,
                )
        elif first:
            attribution, swaps = "as given in the tables", 0
            with as_files(files, train, names) as given:
                rows = (split, data, given.train, attributes, layout, cluster, noise)
                material = of_tables(given.files, given.names, *rows)
                material.called(given.as_given)
                check_reference(reference, material.models[0].truth)
        if first and material is not None:
            wrong = missing == "wrong"
            material.models = [replace(model, missing_wrong=wrong) for model in material.models]
            settings = AuditSettings(
                dataset=material.dataset,
                split=split,
                n=material.models[0].images,
                attribution=_attribution(material, attribution),
                attribution_asked=attribution if models else "",
                swaps=swaps,
                fill=fill if swaps else "",
                missing=missing,
                masks=_masks(material.models[0]),
                replicates=replicates,
                confidence=CONFIDENCE,
                seed=seed,
                simultaneous={} if simultaneous else None,
                smallest_difference=smallest_difference,
                reference=reference,
                clusters={} if material.clusters is None else material.clusters.as_json(),
                group_noise={name: of.as_json() for name, of in material.noise.items()},
                versions=versions(*LIBRARIES),
                runs=material.about,
                counts=_counts(material.models[0]),
                date=f"{datetime.now(UTC):%Y-%m-%d}",
                licence=material.licence,
                fingerprint=material.fingerprint or "",
                command=command(),
            )
            done = _conclude(Path(output), material, settings, overwrite, shards)
        processes.wait()
    return finished(Path(output)) if done is None else done


def _conclude(
    output: Path,
    material: Material,
    settings: AuditSettings,
    overwrite: bool,
    shards: Shards | None,
) -> Audit:
    """Measure, decide what is worth saying, write it and say it."""
    models, reference, together = material.models, material.reference, material.clusters
    replicates, seed = settings.replicates, settings.seed
    with python_warnings.catch_warnings(record=True) as caught:
        python_warnings.simplefilter("always", FairvisionWarning)
        metrics, joint = measure_together(
            models,
            reference,
            train_counts=material.train_counts,
            replicates=replicates,
            seed=seed,
            cluster=None if together is None else together.codes,
            simultaneous=settings.simultaneous is not None,
            noise={name: of.keywords for name, of in material.noise.items()},
            reference_group=settings.reference,
        )
    metrics = with_gap_of_masks(models, metrics)
    settings = replace(settings, simultaneous=None if joint is None else joint.as_json())
    notes = list(material.notes)
    if together is not None:
        truth = models[0].truth
        notes += together.cautions({a: (g, truth.codes(a)) for a, g in truth.attributes.items()})
    notes += group_errors.cautions(models, metrics, material.noise)
    notes += [] if joint is None else [joint.caution]
    if material.leaning:
        rows = leaning_figures.figures(
            *(material.leaning, models[0].truth.attributes),
            replicates=replicates,
            seed=seed,
            cluster=None if together is None else together.by_id(models[0].truth),
        )
        notes += leaning_figures.warnings(rows)
        metrics = pd.concat([metrics, rows], ignore_index=True)
    if material.sanity is not None and len(material.sanity):
        metrics = pd.concat([metrics, material.sanity], ignore_index=True)
    elif material.sanity is not None:
        notes.append("no sanity checks: they need masks and known groups")
    lines = [*notes, *predicted_masks(models, metrics), *cautions.cautions(models, metrics)]
    lines = _merged(lines, [str(warning.message) for warning in caught])
    decided = verdict.judge(
        metrics,
        material.names,
        left_out=[*cautions.left_out(models, reference), *material.unmeasured],
        warnings=lines,
        smallest_difference=settings.smallest_difference,
    )
    _write(output, material, metrics, decided, settings, overwrite, shards)
    for message in lines:
        python_warnings.warn(message, FairvisionWarning, stacklevel=3)
    return Audit(output, metrics, decided, settings.smallest_difference)


def _merged(lines: Sequence[str], caught: Sequence[str]) -> list[str]:
    """Return all lines, but none of those caught that says the same of another name.

    >>> _merged(["gender: 0/1 are codes", "few rows"], ["truth: 0/1 are codes", "no colon"])
    ['gender: 0/1 are codes', 'few rows', 'no colon']
    """
    merged = list(dict.fromkeys(lines))
    for line in dict.fromkeys(caught):
        if all(_problem_in(line) != _problem_in(other) for other in merged):
            merged.append(line)
    return merged


def _problem_in(line: str) -> str:
    """Return the part of a line after its first colon: the problem, without its place."""
    return line.partition(": ")[2] or line


def _write(
    output: Path,
    material: Material,
    metrics: pd.DataFrame,
    decided: Verdict,
    settings: AuditSettings,
    overwrite: bool,
    shards: Shards | None,
) -> None:
    """Write the folder of an audit: samples, figures, verdict and page."""
    from fairvision.report import render

    images = _gallery(material)
    page = render(
        metrics=metrics, models=material.names, verdict=decided, gallery=images, settings=settings
    )
    try:
        with whole_folder(output, marker=MARKER, overwrite=overwrite) as folder:
            write(material, folder)
            write_audit(
                folder,
                MARKER,
                page,
                metrics,
                models=material.names,
                settings=settings,
                verdict=decided,
                data={"name": material.dataset, "fingerprint": material.fingerprint},
            )
            if shards is not None:
                shards.note_made(folder / MARKER)
    except InputError:  # another that was taken for dead has made it after all
        if shards is None or not shards.is_made(output):
            raise


def finished(folder: Path) -> Audit:
    """Return the audit that a process has written to a folder."""
    described = read_json(folder / MARKER)
    verdict = Verdict.of(described["verdict"])
    smallest = float(described["settings"]["smallest_difference"])
    return Audit(folder, read_metrics(folder / "metrics.csv"), verdict, smallest)


def _attribution(material: Material, asked: str) -> str:
    """Return the attribution of all models; "auto" where it differs between them."""
    methods = {method or "none" for method in material.methods}
    return methods.pop() if len(methods) == 1 else asked


def _gallery(material: Material) -> list[GalleryImage]:
    """Return the images that the page shows, of each attribute that every model predicts.

    Where there is none it shows those of each task, the telling ones with their maps; nothing where
    no image is at hand.
    """
    truth, models, networks = material.models[0].truth, material.models, material.networks
    if material.models[0].counts is not None or not (networks or material.pictures is not None):
        return []
    schemas = [network.schema for network in networks] or [truth.schema]
    attributes, tasks = (
        [head for head in heads if all(head in schema for schema in schemas)]
        for heads in (truth.attributes, truth.tasks)
    )
    items = []
    for attribute in attributes:
        items += album(
            *(models, attribute),
            networks=networks,
            methods=material.methods,
            pictures=material.pictures,
            donors=material.donors,
        )
    for task in () if attributes or not networks else tasks:
        per_kind = -(-PER_KIND // len(tasks))
        shown = list(task_gallery.choose(models, task, per_kind=per_kind))
        others = list(task_gallery.others(models, task, shown))
        for of_images, reason in ((shown, ""), (others, task_gallery.ONLY_TELLING)):
            items += task_gallery.draw(
                *(models, networks, task, of_images, material.regions),
                methods=material.methods,
                side=side_shown(len(shown) + len(others)),
                without_maps=reason,
            )
    return items


def _masks(samples: Samples) -> str:
    """Return what predicted the masks of people, "" if nothing did."""
    predicted = samples.truth.predicted_masks
    return "" if predicted is None else ", ".join(predicted.models)


def _counts(samples: Samples) -> list[dict[str, object]]:
    """Return attribute, group and number of images for each group of people."""
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


def _listed(given: Any) -> list[Any]:
    """Return what was given as a list: one path or model, or several, or none."""
    if given is None:
        return []
    return list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
