"""A backbone and a decoder: what writes captions of images."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fairvision.models.backbones import Backbone
from fairvision.models.decoders import WIDTH, Decoder, Memory, make_decoder
from fairvision.models.positions import as_maps, deepest_grid, prefix_tokens
from fairvision.models.vocabulary import Vocabulary
from fairvision.models.writing import Captioner

MOST_ROWS = 8
"""Rows and columns of positions that a decoder is shown at most; finer grids are averaged."""


class BackboneCaptioner(Captioner):
    """A captioner around the backbone of a classifier.

    The decoder is shown the features that a classifier would have (`pooled`), and those of the
    deepest layer that still has positions (`grid`).

    Parameters
    ----------
    backbone, width : as of `ImageNetwork`
    size : height and width of the images in pixels
    decoder : what writes
    words : the words by which captions name each group
    group_tokens : the tokens of these

    Attributes
    ----------
    layer : dotted name, within the backbone, of the layer whose positions are shown
    grid : rows and columns of positions
    """

    def __init__(
        self,
        backbone: nn.Module,
        width: int,
        size: int,
        decoder: Decoder,
        words: Mapping[str, Collection[str]],
        group_tokens: Mapping[str, Sequence[int]],
    ):
        super().__init__(backbone, width, decoder, words, group_tokens)
        if hasattr(backbone, "AuxLogits"):  # of Inception: nothing is made of what it says
            backbone.AuxLogits, backbone.aux_logits = None, False  # type: ignore[assignment]
        self._maps: Tensor | None = None
        self._prefix = prefix_tokens(backbone)
        training = backbone.training
        backbone.eval()
        images = torch.zeros(1, 3, size, size)
        self.layer, channels = deepest_grid(backbone, images)
        # A method, which a copy of the network gets of its own, and no function of this one.
        backbone.get_submodule(self.layer).register_forward_hook(self._keep)
        with torch.no_grad():
            backbone(images)
        self.grid = self._shown(self._taken(images)).shape[2:]
        backbone.train(training)
        # Features of a whole image differ little from their mean, which would be most of the norm.
        centred = nn.BatchNorm1d(width, affine=False)
        self.pooled = nn.Sequential(centred, nn.Linear(width, WIDTH), nn.LayerNorm(WIDTH))
        if decoder.sees_places:
            self.positions = nn.Sequential(nn.Linear(channels, WIDTH), nn.LayerNorm(WIDTH))
            self.place = nn.Parameter(torch.zeros(prod(self.grid), WIDTH))

    def encode_with_maps(self, images: Tensor) -> tuple[Memory, Tensor]:
        """Return what the decoder is shown, and the maps (n, channels, rows, columns) it is of."""
        pooled = self.pooled(self.features(images))
        maps = self._taken(images)
        if not self.decoder.sees_places:
            return Memory(pooled, pooled[:, None][:, :0]), maps
        grid = self._shown(maps).flatten(2).transpose(1, 2)
        return Memory(pooled, self.positions(grid) + self.place), maps

    def _keep(self, module: nn.Module, _: Any, output: Tensor) -> None:
        """Keep what the layer with positions gave."""
        self._maps = output

    def _taken(self, images: Tensor) -> Tensor:
        """Return the maps (n, channels, height, width) of the last images, and forget them."""
        assert self._maps is not None
        maps = as_maps(self._maps, images, self._prefix)
        self._maps = None
        assert maps is not None
        return maps

    def _shown(self, maps: Tensor) -> Tensor:
        """Return maps of at most `MOST_ROWS` rows and columns."""
        rows, columns = (min(side, MOST_ROWS) for side in maps.shape[2:])
        if maps.shape[2:] == (rows, columns):
            return maps
        return F.adaptive_avg_pool2d(maps, (rows, columns))


def as_captioner(
    backbone: Backbone,
    vocabulary: Vocabulary,
    size: int,
    decoder: str,
    words: Mapping[str, Collection[str]],
) -> BackboneCaptioner:
    """Return a captioner with an untrained decoder around a backbone.

    Parameters
    ----------
    backbone : without its classifying layer
    vocabulary : what it reads and writes
    size : height and width of the images in pixels
    decoder : "transformer" or "lstm"
    words : the words by which captions name each group
    """
    network = BackboneCaptioner(
        backbone.module,
        backbone.width,
        size,
        make_decoder(decoder, len(vocabulary)),
        words,
        vocabulary.group_tokens(words),
    )
    network.mean.copy_(torch.tensor(backbone.mean).view(3, 1, 1))
    network.std.copy_(torch.tensor(backbone.std).view(3, 1, 1))
    return network
