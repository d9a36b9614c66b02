"""`clip:FOLDER`, `clip:NAME`, `clip:NETWORK@FILE`: classes that are described by texts.

Radford et al., "Learning transferable visual models from natural language supervision", ICML 2021,
section 3.1: an image is compared with the texts of each label, for which the mean of their vectors,
each of length 1, stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from fairvision.errors import InputError
from fairvision.models.adapters import open_clip_files, transformers_files
from fairvision.models.heads import Head, Heads
from fairvision.models.model import Model
from fairvision.models.sources import SourceOptions, adapted

Prompts = Mapping[str, Mapping[str, Sequence[str]]]
"""By head and label one or several texts."""


class ZeroShot(nn.Module):
    """Compares images with the texts of each label.

    Attributes
    ----------
    encoder : from images to vectors (n, width)
    texts : vectors of length 1 (labels, width) by head
    scale : what cosines are multiplied with
    """

    def __init__(self, encoder: nn.Module, texts: Mapping[str, Tensor], scale: float):
        super().__init__()
        self.encoder, self.scale = encoder, scale
        self.heads = {head: len(vectors) for head, vectors in texts.items()}
        self.texts: Tensor
        self.register_buffer("texts", torch.cat(list(texts.values())))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the logits (n, labels) of every head."""
        vectors = nn.functional.normalize(self.encoder(images), dim=1)
        logits = self.scale * vectors @ self.texts.T
        return dict(zip(self.heads, torch.split(logits, list(self.heads.values()), dim=1)))


def open_model(reference: str, options: SourceOptions) -> Model:
    """Return a classifier made of a model of images and texts.

    Parameters
    ----------
    reference : folder of transformers or of open_clip, name on huggingface.co (transformers), or
        name of a network of open_clip and behind `@` a file of weights
    options : what is told about it; `prompts` are needed, `heads` are by default those of them

    Raises
    ------
    InputError
        If it cannot be read without running code that comes with it, or texts are missing.
    """
    source = f"clip:{reference}"
    heads = _heads(options.prompts, options.heads, source)
    texts = {
        head: [options.prompts[head][label] for label in about.labels]
        for head, about in heads.items()
    }
    if "@" in reference or (Path(reference) / open_clip_files.CONFIG).exists():
        encoder, encode, scale, images = open_clip_files.towers(reference, source)
    else:
        encoder, encode, scale = transformers_files.towers(reference, source)
        images = transformers_files.preprocessing(reference, source, options)
    vectors = {
        head: torch.stack([_mean(encode, list(of_label)) for of_label in of_head])
        for head, of_head in texts.items()
    }
    network = ZeroShot(encoder, vectors, scale)
    return adapted(network, source, replace(options, heads=heads), images)


def _heads(prompts: Prompts, heads: Heads | None, source: str) -> Heads:
    """Return the heads that the texts describe; `InputError` where texts are missing."""
    if not prompts:
        raise InputError(
            f"{source} needs a text for each label, such as "
            '--prompt "gender/female=a photo of a woman" --prompt "gender/male=a photo of a man"'
        )
    heads = heads or {head: Head(tuple(of_head)) for head, of_head in prompts.items()}
    for head, about in heads.items():
        texts = prompts.get(head, {})
        if missing := [label for label in about.labels if not texts.get(label)]:
            raise InputError(
                f'{source}: no text says what {head} {missing[0]!r} is: --prompt "{head}/'
                f'{missing[0]}=a photo of …"'
            )
        if about.many or about.outputs is not None or len(about.labels) < 2:
            raise InputError(
                f"{source}: texts decide between two labels or more, of which one holds: head "
                f"{head!r} is described in another way"
            )
    return {head: replace(about, probabilities=False) for head, about in heads.items()}


def _mean(encode: Callable[[list[str]], Tensor], texts: list[str]) -> Tensor:
    """Return the mean direction (width,) of the vectors of texts."""
    with torch.inference_mode(False), torch.no_grad():
        vectors = nn.functional.normalize(encode(texts).float(), dim=1)
        return nn.functional.normalize(vectors.mean(dim=0), dim=0)
