"""A run that writes captions, on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fairvision.errors import InputError
from fairvision.models import Captioner, Vocabulary
from fairvision.models.beam_search import BEAMS
from fairvision.models.sentences import Sentence, write
from fairvision.runs.folder import Run, as_run, captioner, vocabulary

_MARGIN = 1.5  # of the longest training caption


@dataclass(frozen=True)
class RunCaptioner:
    """The trained captioner of a run, on a device.

    Attributes
    ----------
    run : a finished run
    name : what the model is called
    module : its network, in evaluation mode
    vocabulary : what it reads and writes
    device : where it is
    """

    run: Run
    name: str
    module: Captioner
    vocabulary: Vocabulary
    device: torch.device

    def __str__(self) -> str:
        return f"run {self.run.folder}"

    @property
    def size(self) -> int:
        """Side in pixels of the images that the network takes."""
        return self.run.size

    @property
    def words(self) -> Mapping[str, Sequence[str]]:
        """The words by which captions name each group."""
        assert self.run.captions is not None
        return self.run.captions["words"]

    @property
    def attribute(self) -> str | None:
        """The attribute whose groups these words name; None where it was none of its dataset."""
        assert self.run.captions is not None
        return self.run.captions["attribute"]

    def write(self, images: Tensor, *, beams: int = BEAMS) -> list[Sentence]:
        """Return a sentence for each image (n, 3, size, size) in [0, 1], on any device."""
        assert self.run.captions is not None
        longest = int(_MARGIN * self.run.captions["longest"])
        images = images.to(self.device)
        return write(self.module, self.vocabulary, images, beams=beams, longest=longest)


def as_run_captioner(
    run: Run | str | Path, device: torch.device | str = "cpu", *, name: str | None = None
) -> RunCaptioner:
    """Return the captioner of a run, or of the run in a folder.

    Raises
    ------
    InputError
        If the run cannot be read, or writes no captions.
    """
    run = as_run(run)
    device = torch.device(device)
    return RunCaptioner(run, name or run.name, captioner(run, device), vocabulary(run), device)


def write_captions(runs: Sequence[Run | str | Path]) -> bool:
    """Tell whether runs write captions: all of them, or none.

    Raises
    ------
    InputError
        If some do and others do not.
    """
    kinds = [as_run(run).captions is not None for run in runs]
    if any(kinds) and not all(kinds):
        wrong = as_run(runs[kinds.index(False)])
        raise InputError(
            f"run {wrong.folder} writes no captions and others do: audit them apart from each other"
        )
    return any(kinds)
