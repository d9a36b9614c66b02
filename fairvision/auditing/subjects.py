"""What is audited: run folders, models of other libraries by their names, and models in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from fairvision.attribution import DEFAULT
from fairvision.attribution.maps import grid_of
from fairvision.auditing.affordable import cost, looked_at
from fairvision.auditing.coarse_maps import coarse_grid
from fairvision.auditing.names import model_names
from fairvision.auditing.shards import weights
from fairvision.core.checksums import KEY
from fairvision.core.processes import device_of_process
from fairvision.datasets import Dataset
from fairvision.errors import InputError
from fairvision.models import Model, SourceOptions, find_device, is_source, open_source
from fairvision.results.words import listed
from fairvision.runs import Run, load
from fairvision.runs.model import RunModel, as_model

AUTO, NONE = "auto", "none"
WITHOUT_PLACES = "occlusion"
"""What finds evidence of models without gradients, or without layers that have positions."""


@dataclass(frozen=True)
class Subject:
    """A model that is audited, and its run where it is one.

    Attributes
    ----------
    model : what is asked
    run : where it was trained by fairvision
    """

    model: Model
    run: Run | None = None

    def about(self, method: str | None) -> dict[str, object]:
        """Return what the audit notes of it: how it was trained, or how images are prepared."""
        noted: dict[str, object] = {"name": self.model.name}
        if self.run is not None:
            keys = ("method", "model", "weights", "size", "seed", "options")
            noted |= {key: self.run.config.get(key) for key in keys}
        else:
            noted |= {"source": str(self.model), "images": images_of(self.model)}
        return noted | {"attribution": method or NONE}

    def identity(self) -> dict[str, object]:
        """Return what tells it from other models, for processes that ask it in turns."""
        noted = self.about(None) | {
            "device": self.model.device.type,
            "weights": weights(self.model.module),
        }
        return noted if self.run is None else noted | {"sha256": self.run.config.get(KEY)}


def images_of(model: Model) -> str:
    """Return in words what is done to images before a model sees them."""
    preprocessing = getattr(model, "preprocessing", None)
    return f"images of {model.size} × {model.size}" if preprocessing is None else str(preprocessing)


def open_subjects(
    given: Sequence[str | Path | Model] | Mapping[str, str | Path | Model],
    names: Sequence[str] | None = None,
    *,
    device: str = "auto",
    options: Sequence[SourceOptions] = (),
) -> list[Subject]:
    """Open what is to be audited.

    Parameters
    ----------
    given : run folders, names of models such as "timm:resnet18", or models; with the name that
        each is to have, or without
    names : what they are called instead; by default as their folders, files or classes
    device : where runs and named models are put; models in Python stay where they are
    options : what is told about named models: once for all of them, or one for each

    Raises
    ------
    InputError
        If one cannot be opened, or names are not fit or not different.
    """
    if isinstance(given, Mapping):
        if names is not None:
            raise InputError("the models have names already: give names or a dictionary, not both")
        names, given = list(map(str, given)), list(given.values())
    place = device_of_process(find_device(device))
    named = [isinstance(one, str) and is_source(one) for one in given]
    if options and len(options) not in (1, sum(named)):
        raise InputError(
            f"there are {sum(named)} models by name, but {len(options)} times options: give them "
            "once, or once for each"
        )
    given_options = list(options) * (sum(named) if len(options) == 1 else 1)
    waiting = iter(given_options or [SourceOptions()] * sum(named))
    subjects = []
    for one, is_named in zip(given, named):
        if is_named:
            subjects.append(Subject(open_source(str(one), replace(next(waiting), device=place))))
        elif isinstance(one, (str, Path)):
            run = load(Path(one))
            subjects.append(Subject(as_model(run, place, name="run"), run))
        elif isinstance(one, Model):
            subjects.append(Subject(one))
        else:
            raise InputError(
                f"a {type(one).__name__} cannot be audited as it is: give it to fairvision.Model "
                "(a torch module) or fairvision.BlackBox (a function)"
            )
    called = model_names([_path_of(one) for one in given], names or _names_of(given))
    return [
        replace(subject, model=renamed(subject.model, name))
        for subject, name in zip(subjects, called)
    ]


def _path_of(one: str | Path | Model) -> Path:
    """Return the path that something is named after."""
    if isinstance(one, str) and is_source(one):
        kind, _, reference = one.partition(":")
        return Path(reference.rpartition(":")[2] if kind == "python" else reference)
    return Path(one) if isinstance(one, (str, Path)) else Path(one.name)


def _names_of(given: Sequence[str | Path | Model]) -> list[str] | None:
    """Return the names that models in Python bring, if all are such."""
    names = [one.name for one in given if not isinstance(one, (str, Path))]
    return names if len(names) == len(given) else None


def renamed(model: Model, name: str) -> Model:
    """Return a model that is called by a name."""
    if model.name == name:
        return model
    if hasattr(model, "named"):
        return cast(Model, model.named(name))
    return cast(Model, _Renamed(model, name))


class _Renamed:
    """A model of another package under another name."""

    def __init__(self, model: Model, name: str):
        self._model, self.name = model, name

    def __getattr__(self, member: str) -> Any:
        return getattr(self._model, member)

    def __str__(self) -> str:
        return f"model {self.name}"


def not_in_data(model: Model, whole: Dataset) -> str:
    """Return in words which heads of a model a dataset does not have; "" where it has all."""
    lacking = [head for head in model.schema if head not in whole.schema]
    if not lacking:
        return ""
    return (
        f"{model.name} predicts {listed(lacking)}, which the data do not have: nothing is measured "
        "of that"
    )


def in_terms_of(model: Model, whole: Dataset) -> Model:
    """Return a model that takes for attributes what a dataset does, if it can be told.

    Raises
    ------
    InputError
        If it predicts nothing that the dataset has.
    """
    if not hasattr(model, "in_terms_of"):
        return model
    heads = [*model.schema.attributes, *model.schema.tasks]
    there = [*whole.schema.attributes, *whole.schema.tasks]
    if there and not {*heads} & {*there}:
        raise InputError(
            f"{model} predicts {', '.join(heads)}, but the data have {', '.join(there)}: name "
            "heads as the data do"
        )
    square = whole.size[0] if whole.size and whole.size[0] == whole.size[1] else None
    return cast(Model, model.in_terms_of(whole.schema, square))


@dataclass(frozen=True)
class Looking:
    """How evidence of a model is looked for.

    Attributes
    ----------
    method : the attribution, None for none
    note : "" or a sentence, where it is not the usual one
    rows : (n,) the images of which it is looked for; None for all
    """

    method: str | None
    note: str = ""
    rows: npt.NDArray[np.bool_] | None = None


def looking(model: Model, attribution: str, audited: Dataset, seed: int = 0) -> Looking:
    """Return how evidence of a model is looked for.

    Parameters
    ----------
    model : what is asked
    attribution : "auto", "none" or one of `fairvision.attribution.METHODS`
    audited : the images
    seed : of the choice of images, where a method was not asked for and is expensive
    """
    if attribution == NONE:
        return Looking(None)
    if attribution != AUTO:
        return Looking(attribution)
    reason = _why_not_default(model)
    if not reason:
        return Looking(DEFAULT)
    rows = looked_at(audited, seed)
    if not rows.any():  # nothing is looked for without masks
        return Looking(WITHOUT_PLACES)
    return Looking(
        WITHOUT_PLACES,
        f"{model.name} {reason}: its evidence is found by hiding parts of each picture "
        f"({WITHOUT_PLACES}), {cost(model, int(rows.sum()), len(rows))}; --attribution none "
        "leaves it out",
        None if rows.all() else rows,
    )


def _why_not_default(model: Model) -> str:
    """Return why the usual attribution tells nothing of a model; "" where it does."""
    if model.module is None:
        return "has no gradients"
    import torch

    blank = torch.zeros(1, 3, model.size, model.size, device=model.device)
    try:
        grid_of(model.module, blank, DEFAULT)
    except InputError:
        return f"has no layer with positions for {DEFAULT}"
    grid = None if isinstance(model, RunModel) else coarse_grid(model, DEFAULT)
    if grid is not None:
        return (
            f"would have maps of {grid[0]} × {grid[1]} cells by {DEFAULT}, too coarse to tell a "
            "person from the surroundings"
        )
    return ""


def why_not_drawn(model: Model, method: str | None, *, spare_runs: bool = True) -> str:
    """Return in a few words why maps of a model are not laid over images; "" where they are.

    Those of runs always are with `spare_runs`: their notes say how coarse they are.
    """
    if method is None:
        return f"no evidence was looked for (attribution {NONE})"
    spared = spare_runs and isinstance(model, RunModel)
    grid = None if spared else coarse_grid(model, method)
    if grid is None:
        return ""
    return (
        f"not drawn: {grid[0]} × {grid[1]} cells are too coarse to tell a person from the "
        "surroundings"
    )
