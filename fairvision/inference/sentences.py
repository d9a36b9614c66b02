"""From image files to captions, by what writes them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.console import Console
from rich.progress import track

from fairvision.core.files import path_text
from fairvision.datasets.batching import tensor_of
from fairvision.datasets.images import Doubts
from fairvision.errors import InputError
from fairvision.inference.predictions import image_files
from fairvision.models import find_device
from fairvision.models.beam_search import BEAMS, MOST_BEAMS
from fairvision.models.sentences import Mention
from fairvision.runs import Run
from fairvision.runs.caption_model import CaptionModel, as_caption_model


def caption(
    run: Run | CaptionModel | str | Path,
    images: str | Path | Iterable[str | Path],
    *,
    beams: int = BEAMS,
    device: str = "auto",
    batch_size: int = 64,
    quiet: bool = True,
) -> pd.DataFrame:
    """Return what a trained captioner writes of images.

    Parameters
    ----------
    run : a run folder of `fairvision train --captions`, the run loaded from it, or hf:FOLDER, a
        captioner of transformers
    images : image files, and folders of them
    beams : beginnings that the beam search keeps
    device : "auto", "cpu", "cuda" or "mps"
    batch_size : images in the network at one time
    quiet : show no progress on the terminal

    Returns
    -------
    One row per image: `id` and `image` as of `fairvision.predict`; `caption`; `log_probability` of
    the whole caption; and `mentions`, a list of the words that name a group, each a mapping with
    `word`, `group`, its `probability` given the words before, and `groups`, the probabilities of
    the words of each group together in its place.

    Raises
    ------
    InputError
        If the run or an image cannot be read, or the run writes no captions.

    Examples
    --------
    >>> import fairvision
    >>> table = fairvision.caption("equalizer", "photos")  # doctest: +SKIP
    """
    if not 1 <= beams <= MOST_BEAMS:
        raise InputError(f"beams must be 1 to {MOST_BEAMS}, not {beams}")
    files = image_files(images)
    captioner = run
    if not isinstance(captioner, CaptionModel):
        captioner = as_caption_model(captioner, find_device(device))
    geometry, doubts = captioner.geometry, Doubts()
    starts: Iterable[int] = range(0, len(files), batch_size)
    if not quiet:
        starts = track(starts, "pictures", console=Console(stderr=True), transient=True)
    sentences = []
    for start in starts:
        paths = files[start : start + batch_size]
        batch = [tensor_of(geometry.read(path, doubts)) for path in paths]
        sentences += captioner.write(torch.stack(batch), beams=beams)
    doubts.tell()
    texts, names = list(map(path_text, files)), [path_text(Path(file.stem)) for file in files]
    unique = len(set(names)) == len(names)
    return pd.DataFrame(
        {
            "id": names if unique else texts,
            "image": texts,
            "caption": [sentence.text for sentence in sentences],
            "log_probability": [sentence.log_probability for sentence in sentences],
            "mentions": [[*map(_as_mapping, sentence.mentions)] for sentence in sentences],
        }
    )


def _as_mapping(mention: Mention) -> dict[str, Any]:
    """Return a word that names a group, ready for JSON."""
    return {
        "word": mention.word,
        "group": mention.group,
        "probability": mention.probability,
        "groups": dict(mention.groups),
    }
