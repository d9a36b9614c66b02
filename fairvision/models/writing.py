"""What a captioner is, whoever made its parts: what methods, audits and the trainer ask of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from fairvision.models.decoders import Decoder, Memory
from fairvision.models.network import ImageNetwork


class Captioner(ImageNetwork):
    """A network that writes captions: normalisation, backbone, decoder.

    Parameters
    ----------
    backbone, width : as of `ImageNetwork`
    decoder : what writes
    words : the words by which captions name each group
    group_tokens : the tokens of these

    Attributes
    ----------
    membership : (vocabulary, groups), 1 where a token names a group
    """

    membership: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        width: int,
        decoder: Decoder,
        words: Mapping[str, Collection[str]],
        group_tokens: Mapping[str, Sequence[int]],
    ):
        super().__init__(backbone, width)
        self.auxiliary_heads = nn.ModuleList()
        self.decoder, self.words = decoder, words
        membership = torch.zeros(decoder.tokens, len(words))
        for group, of_group in enumerate(group_tokens.values()):
            membership[list(of_group), group] = 1
        self.register_buffer("membership", membership, persistent=False)

    def encode(self, images: Tensor) -> Memory:
        """Return what the decoder is shown of images (n, 3, size, size) in [0, 1]."""
        return self.encode_with_maps(images)[0]

    def encode_with_maps(self, images: Tensor) -> tuple[Memory, Tensor]:
        """Return what the decoder is shown, and the maps (n, channels, rows, columns) it is of."""
        raise TypeError(f"{type(self).__name__} must say what it shows to its decoder")

    def forward(self, images: Tensor, tokens: Tensor, of: Tensor) -> Tensor:
        """Return the logits (m, t, vocabulary) of what follows each token of captions.

        Parameters
        ----------
        images : (n, 3, size, size) in [0, 1]
        tokens : (m, t) int64, from the start on
        of : (m,) int64, which image each caption is of
        """
        logits: Tensor = self.decoder(self.encode(images).rows(of), tokens)
        return logits
