"""Evidence for a word of a caption: maps of what in the image made a captioner write it."""

from __future__ import annotations

import torch
from torch import Tensor

from fairvision.attribution.explained import undisturbed
from fairvision.attribution.gradcam import enlarged
from fairvision.datasets.hiding import hide
from fairvision.errors import InputError
from fairvision.models import Captioner
from fairvision.models.captioner import BackboneCaptioner
from fairvision.models.decoders import TransformerDecoder

METHODS = ("gradcam", "occlusion", "attention")
DEFAULT = "gradcam"
PARTS = 7
"""Rows and columns of parts that occlusion hides, one after another."""


def word_maps(
    captioner: Captioner,
    images: Tensor,
    tokens: Tensor,
    steps: Tensor,
    method: str = DEFAULT,
) -> Tensor:
    """Return the evidence for one word of the caption of each image.

    What is explained is the logarithm of the word's probability, given the words before it.

    - "gradcam": Selvaraju et al. (ICCV 2017, section 3) at the layer whose places the decoder is
      shown, as Hendricks et al. (ECCV 2018, section 4) do; positive evidence alone
    - "occlusion": by how much it falls where a seventh of the height and width is filled with the
      mean colour of the rest (Zeiler & Fergus, ECCV 2014, section 4.2)
    - "attention": where the transformer's last layer looks, the mean over its heads. It shows what
      was read, and not what it was read for (Jain & Wallace, NAACL 2019, arXiv 1902.10186).

    Parameters
    ----------
    captioner : its modes and gradients are afterwards as they were
    images : (n, 3, height, width) in [0, 1]
    tokens : (n, t) captions, from their start
    steps : (n,) position of the word in each, 1 or above
    method : one of `METHODS`

    Returns
    -------
    (n, height, width) float32

    Raises
    ------
    InputError
        If there is no such method, or the decoder has no attention.

    Examples
    --------
    >>> from fairvision import models
    >>> vocabulary = models.Vocabulary.learn(["a man", "a woman"])
    >>> captioner = models.build_captioner("small_cnn", vocabulary, size=32)
    >>> tokens = torch.tensor([vocabulary.encode("a man")])
    >>> word_maps(captioner, torch.rand(1, 3, 32, 32), tokens, torch.tensor([2])).shape
    torch.Size([1, 32, 32])
    """
    if method not in METHODS:
        raise InputError(f"there is no evidence {method!r} for words: {', '.join(METHODS)}")
    if not len(images):
        return torch.zeros(images[:, 0].shape, device=images.device)
    with torch.inference_mode(False), undisturbed(captioner, frozen=True):
        images, tokens, steps = images.clone(), tokens.clone(), steps.clone()
        if method == "gradcam":
            return _gradcam(captioner, images, tokens, steps)
        with torch.no_grad():
            if method == "occlusion":
                return _occlusion(captioner, images, tokens, steps)
            return _attention(captioner, images, tokens, steps)


def word_scores(captioner: Captioner, images: Tensor, tokens: Tensor, steps: Tensor) -> Tensor:
    """Return the log-probability of a word of each caption, (n,)."""
    rows = torch.arange(len(images), device=images.device)
    return _of_words(captioner(images, tokens[:, :-1], rows), tokens, steps)


def _of_words(logits: Tensor, tokens: Tensor, steps: Tensor) -> Tensor:
    """Return the log-probability (n,) of the token at each step, from logits (n, t, tokens)."""
    rows = torch.arange(len(tokens), device=tokens.device)
    at_steps = logits[rows, steps - 1].float().log_softmax(dim=1)
    return at_steps.gather(1, tokens[rows, steps][:, None])[:, 0]


def _gradcam(captioner: Captioner, images: Tensor, tokens: Tensor, steps: Tensor) -> Tensor:
    """Return the maps of Grad-CAM (n, height, width)."""
    with torch.enable_grad():
        memory, maps = captioner.encode_with_maps(images.requires_grad_())
        scores = _of_words(captioner.decoder(memory, tokens[:, :-1]), tokens, steps)
        gradients = torch.autograd.grad(scores.sum(), maps)[0]
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    places = (weights * maps.detach()).sum(dim=1, keepdim=True).clamp(min=0).float()
    return enlarged(places, images.detach())[:, 0]


def _occlusion(captioner: Captioner, images: Tensor, tokens: Tensor, steps: Tensor) -> Tensor:
    """Return by how much hiding each part lowers the score, (n, height, width)."""
    whole = word_scores(captioner, images, tokens, steps)
    height, width = images.shape[2:]
    result = torch.zeros(images[:, 0].shape, device=images.device)
    for row in range(PARTS):
        for column in range(PARTS):
            part = (
                slice(row * height // PARTS, (row + 1) * height // PARTS),
                slice(column * width // PARTS, (column + 1) * width // PARTS),
            )
            hidden = torch.zeros_like(images[:, :1])
            hidden[:, :, part[0], part[1]] = 1
            lower = whole - word_scores(captioner, hide(images, hidden), tokens, steps)
            result[:, part[0], part[1]] = lower[:, None, None]
    return result


def _attention(captioner: Captioner, images: Tensor, tokens: Tensor, steps: Tensor) -> Tensor:
    """Return where the decoder looks as it writes the word, (n, height, width)."""
    decoder = captioner.decoder
    if not (isinstance(captioner, BackboneCaptioner) and isinstance(decoder, TransformerDecoder)):
        raise InputError("the captioner gives no attention: choose gradcam or occlusion")
    looks = decoder.attention(captioner.encode(images), tokens[:, :-1])
    rows = torch.arange(len(images), device=images.device)
    grid = looks[rows, steps - 1].view(len(images), 1, *captioner.grid)
    return enlarged(grid, images)[:, 0]
