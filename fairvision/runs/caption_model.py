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
from fairvision.runs.folder import CONFIG, Run, as_run, captioner, read_config, vocabulary

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

    @property
    def decoder(self) -> str:
        """What writes: "transformer" or "lstm"."""
        assert self.run.captions is not None
        return self.run.captions["decoder"]

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


def write_captions(sources: Sequence[Path | str]) -> bool:
    """Tell whether all of some sources are runs that write captions, or none is.

    Raises
    ------
    InputError
        If some do and others do not.
    """
    kinds = [
        isinstance(source, Path)
        and (source / CONFIG).is_file()
        and "captions" in read_config(source)
        for source in sources
    ]
    if any(kinds) and not all(kinds):
        raise InputError(
            f"{sources[kinds.index(False)]} writes no captions and {sources[kinds.index(True)]} "
            "does: audit them apart from each other"
        )
    return any(kinds)
