"""Whatever writes captions, on a device: a run, or a captioner of transformers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fairvision.datasets.geometry import Geometry
from fairvision.errors import InputError
from fairvision.metrics.caption_words import GENDER_WORDS
from fairvision.models import Captioner, Vocabulary
from fairvision.models.adapters import captioner_files
from fairvision.models.beam_search import BEAMS
from fairvision.models.sentences import Sentence, write
from fairvision.runs.folder import (
    CONFIG,
    Run,
    as_run,
    captioner,
    captioner_geometry,
    read_config,
    vocabulary,
)

_MARGIN = 1.5  # of the longest training caption
_LONGEST = 64  # tokens of captions of a captioner whose training captions are not known


@dataclass(frozen=True)
class CaptionModel:
    """A captioner on a device.

    Attributes
    ----------
    source : what messages call it
    name : what the model is called
    module : its network, in evaluation mode
    vocabulary : what it reads and writes
    device : where it is
    geometry : how images become the squares that it takes
    longest : tokens of a caption at most, with start and end
    about : method, model, decoder and seed of its training, as far as they are known
    words : the words by which captions name each group
    attribute : the attribute whose groups these words name; None where it is not known
    run : the run that it is of, if any
    """

    source: str
    name: str
    module: Captioner
    vocabulary: Vocabulary
    device: torch.device
    geometry: Geometry
    longest: int
    about: Mapping[str, Any]
    words: Mapping[str, Collection[str]]
    attribute: str | None = None
    run: Run | None = None

    def __str__(self) -> str:
        return self.source

    def write(self, images: Tensor, *, beams: int = BEAMS) -> list[Sentence]:
        """Return a sentence for each image (n, 3, size, size) in [0, 1], on any device."""
        images = images.to(self.device)
        return write(self.module, self.vocabulary, images, beams=beams, longest=self.longest)


def as_caption_model(
    source: Run | str | Path,
    device: torch.device | str = "cpu",
    *,
    name: str | None = None,
    like: Run | None = None,
) -> CaptionModel:
    """Return what writes captions.

    Parameters
    ----------
    source : a run, its folder, or hf:FOLDER, a captioner of transformers
    device : where to put it
    name : what to call it
    like : a run by whose words a captioner of transformers, which says nothing of them, names
        groups; by default those of a gender

    Raises
    ------
    InputError
        If it cannot be read, or writes no captions.
    """
    device = torch.device(device)
    if isinstance(source, str) and source.startswith(captioner_files.KIND):
        return _of_transformers(source, device, name, like)
    run = as_run(source)
    module = captioner(run, device)
    captions = run.captions
    assert captions is not None
    config = run.config
    about = {"method": config["method"], "model": config["model"], "seed": config["seed"]}
    of_run = vocabulary(run)
    return CaptionModel(
        source=f"run {run.folder}",
        name=name or run.name,
        module=module,
        vocabulary=of_run,
        device=device,
        geometry=captioner_geometry(run),
        longest=min(int(_MARGIN * captions["longest"]), of_run.longest),
        about={**about, "decoder": captions["decoder"]},
        words=captions["words"],
        attribute=captions["attribute"],
        run=run,
    )


def _of_transformers(
    source: str, device: torch.device, name: str | None, like: Run | None
) -> CaptionModel:
    """Return a captioner of transformers in a folder."""
    files, of_folder = captioner_files.open_files(source)
    captions = None if like is None else like.captions
    words = GENDER_WORDS if captions is None else captions["words"]
    module = captioner_files.open_network(source, files, of_folder, words)
    return CaptionModel(
        source=source,
        name=name or source_folder(source).name,
        module=module.to(device).eval(),
        vocabulary=of_folder,
        device=device,
        geometry=files.geometry,
        longest=min(_LONGEST, of_folder.longest),
        about={"model": source, "decoder": files.architecture.name, "method": None, "seed": None},
        words=words,
        attribute=None if captions is None else captions["attribute"],
    )


def source_folder(source: Run | str | Path) -> Path:
    """Return the folder of a run, or of a captioner of transformers."""
    if isinstance(source, str):
        return Path(source.removeprefix(captioner_files.KIND)).resolve()
    return as_run(source).folder


def write_captions(sources: Sequence[Path | str]) -> bool:
    """Tell whether all of some sources write captions, or none does.

    Raises
    ------
    InputError
        If some do and others do not.
    """
    kinds = [
        captioner_files.is_captioner(source)
        if isinstance(source, str)
        else (source / CONFIG).is_file() and "captions" in read_config(source)
        for source in sources
    ]
    if any(kinds) and not all(kinds):
        raise InputError(
            f"{sources[kinds.index(False)]} writes no captions and {sources[kinds.index(True)]} "
            "does: audit them apart from each other"
        )
    return any(kinds)
