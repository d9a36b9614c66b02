"""Captioners of transformers as networks of fairvision: VisionEncoderDecoder, BLIP and GIT.

What they are made of is in `adapters/captioner_files.py`; here nothing of transformers is imported.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from torch import Tensor, nn

from fairvision.errors import InputError
from fairvision.models.decoders import Decoder, Memory, State
from fairvision.models.pretrained_vocabulary import SHIFT
from fairvision.models.vocabulary import END, PAD, START, UNKNOWN_WORD
from fairvision.models.writing import Captioner

_NEVER = -1e4  # logit of what is not written, within the range of half precision


@dataclass(frozen=True)
class Ends:
    """The tokens of a network between which its captions stand.

    Attributes
    ----------
    start, end, pad : its own numbers
    """

    start: int
    end: int
    pad: int


class EncoderDecoderWriter(nn.Module):
    """The decoder of a VisionEncoderDecoderModel."""

    def __init__(self, model: Any):
        super().__init__()
        self.decoder = model.decoder
        self.projection = getattr(model, "enc_to_dec_proj", None) or nn.Identity()

    def forward(self, grid: Tensor, tokens: Tensor) -> Tensor:
        """Return logits (m, t, its tokens) from positions (m, positions, width)."""
        seen = self.projection(grid)
        logits: Tensor = self.decoder(
            input_ids=tokens, encoder_hidden_states=seen, use_cache=False
        ).logits
        return logits


class BlipWriter(nn.Module):
    """The text decoder of a BlipForConditionalGeneration."""

    def __init__(self, model: Any):
        super().__init__()
        self.decoder = model.text_decoder

    def forward(self, grid: Tensor, tokens: Tensor) -> Tensor:
        """Return logits (m, t, its tokens) from positions (m, positions, width)."""
        logits: Tensor = self.decoder(
            input_ids=tokens, encoder_hidden_states=grid, use_cache=False
        ).logits
        return logits


class GitWriter(nn.Module):
    """What a GitForCausalLM makes of images that its image encoder has seen."""

    def __init__(self, model: Any):
        super().__init__()
        self.decoder = model
        model.git.image_encoder = _Seen()

    def forward(self, grid: Tensor, tokens: Tensor) -> Tensor:
        """Return logits (m, t, its tokens) from positions (m, positions, width)."""
        logits: Tensor = self.decoder(
            input_ids=tokens, pixel_values=grid[..., None], use_cache=False
        ).logits
        return logits[:, -tokens.shape[1] :]


class _Seen(nn.Module):
    """Stands in the place of an image encoder: what it is given was encoded before."""

    def forward(self, pixel_values: Tensor, **_: Any) -> Any:
        """Return positions (m, positions, width) of (m, positions, width, 1)."""
        return _Output(pixel_values[..., 0])


@dataclass
class _Output:
    """What is looked for in the answer of an image encoder."""

    last_hidden_state: Tensor


class _Positions(nn.Module):
    """An image encoder, of whose answer the positions (n, positions, width) are taken."""

    def __init__(self, encoder: Any):
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> Tensor:
        """Return (n, positions, width) of normalised images."""
        positions: Tensor = self.encoder(pixel_values=images).last_hidden_state
        return positions


class PretrainedDecoder(Decoder):
    """A decoder of transformers, whose tokens are numbered as in `PretrainedVocabulary`.

    Parameters
    ----------
    writer : from positions and its own tokens to logits
    tokens : how many of its own there are
    ends : those between which captions stand
    """

    numbers: Tensor

    def __init__(self, writer: nn.Module, tokens: int, ends: Ends):
        super().__init__()
        self.writer, self.tokens, self._end = writer, tokens + SHIFT, ends.end
        first = torch.zeros(SHIFT, dtype=torch.long)
        first[[PAD, START, END, UNKNOWN_WORD]] = torch.tensor(
            [ends.pad, ends.start, ends.end, ends.pad]
        )
        numbers = torch.cat([first, torch.arange(tokens)])
        self.register_buffer("numbers", numbers, persistent=False)

    def forward(self, memory: Memory, tokens: Tensor) -> Tensor:
        """Return the logits (m, t, tokens) of what follows each of the tokens (m, t)."""
        return self._logits(memory.each(memory.grid), tokens)

    def seen(self, memory: Memory) -> State:
        """Return the positions of the images."""
        return [memory.each(memory.grid)]

    def start(self, memory: Memory, seen: State) -> State:
        """Return no tokens."""
        return [self.numbers.new_zeros(len(memory), 0)]

    def step(self, seen: State, state: State, tokens: Tensor, place: int) -> tuple[Tensor, State]:
        """Return the logits (m, tokens) of what follows the tokens (m,), and the state after.

        What was written before is read again.
        """
        grid = seen[0].repeat_interleave(len(tokens) // len(seen[0]), dim=0)
        prefix = torch.cat([state[0], tokens[:, None]], dim=1)
        return self._logits(grid, prefix)[:, -1], [prefix]

    def _logits(self, grid: Tensor, tokens: Tensor) -> Tensor:
        """Return logits (m, t, tokens) from positions (m, positions, width)."""
        logits: Tensor = self.writer(grid, self.numbers[tokens])
        first = logits.new_full((*logits.shape[:2], SHIFT), _NEVER)
        first[..., END] = logits[..., self._end]
        logits = logits.index_fill(2, self.numbers[END : END + 1], _NEVER)
        return torch.cat([first, logits], dim=2)


class PretrainedCaptioner(Captioner):
    """A captioner of transformers.

    Parameters
    ----------
    encoder : module of transformers that looks at images
    decoder : what writes
    mean, std : of each colour, which normalise the images
    words, group_tokens : as of `Captioner`

    Attributes
    ----------
    tied : weights that also stand under an earlier name: by name, the earlier one
    """

    def __init__(
        self,
        encoder: Any,
        decoder: PretrainedDecoder,
        mean: Sequence[float],
        std: Sequence[float],
        words: Mapping[str, Collection[str]],
        group_tokens: Mapping[str, Sequence[int]],
    ):
        width = int(encoder.config.hidden_size)
        super().__init__(_Positions(encoder), width, decoder, words, group_tokens)
        self.mean.copy_(torch.tensor(mean).view(3, 1, 1))
        self.std.copy_(torch.tensor(std).view(3, 1, 1))
        # Weights that stand under several names are kept under the first, as safetensors wants it.
        self.tied = _tied(self)
        self.register_state_dict_post_hook(_drop_tied)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_add_tied)  # type: ignore[no-untyped-call]

    def encode(self, images: Tensor) -> Memory:
        """Return what the decoder is shown of images (n, 3, size, size) in [0, 1]."""
        positions = self.features(images)
        return Memory(positions[:, 0], positions)

    def encode_with_maps(self, images: Tensor) -> tuple[Memory, Tensor]:
        """Return what the decoder is shown, and the maps (n, channels, rows, columns) it is of.

        Raises
        ------
        InputError
            If the positions are no square, after at most a few that are of the whole image.
        """
        positions = self.features(images)
        side = isqrt(positions.shape[1])
        before = positions.shape[1] - side * side
        if before > min(4, side):
            raise InputError("the positions of the captioner are no square: choose occlusion")
        whole, grid = positions[:, :before], positions[:, before:]
        maps = grid.transpose(1, 2).reshape(len(grid), -1, side, side)
        positions = torch.cat([whole, maps.flatten(2).transpose(1, 2)], dim=1)
        return Memory(positions[:, 0], positions), maps


def _tied(network: nn.Module) -> dict[str, str]:
    """Return the names of weights that also stand under an earlier name, by name."""
    first: dict[int, str] = {}
    tied = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        if (other := first.setdefault(id(parameter), name)) != name:
            tied[name] = other
    return tied


def _drop_tied(
    network: PretrainedCaptioner, state: MutableMapping[str, Any], prefix: str, _: Any
) -> None:
    """Leave each tied weight in a state once."""
    for name in network.tied:
        state.pop(prefix + name, None)


def _add_tied(
    network: PretrainedCaptioner, state: MutableMapping[str, Any], prefix: str, *_: Any
) -> None:
    """Give the tied weights of a state their other names back."""
    for name, other in network.tied.items():
        if prefix + other in state:
            state[prefix + name] = state[prefix + other]
