"""What writes captions: from what a backbone sees to the next token, given those before.

Both decoders take whole captions at once in training, and one token after another where they write,
from a state in which nothing is computed twice. A state is a list of tensors with a row for each
caption, so that a beam search can choose among them; what is made of images alone is not in it, and
has a row for each image, whose captions stand one after the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fairvision.errors import InputError
from fairvision.models.vocabulary import LONGEST, PAD

NAMES = ("transformer", "lstm")
WIDTH = 256

State = list[Tensor]


@dataclass(frozen=True)
class Memory:
    """What a decoder is shown of images.

    Attributes
    ----------
    pooled : (images, width) features of the whole image
    grid : (images, positions, width) features of each position
    index : (n,) which image each of n rows is; None: each image is one row
    """

    pooled: Tensor
    grid: Tensor
    index: Tensor | None = None

    def __len__(self) -> int:
        return len(self.pooled if self.index is None else self.index)

    def rows(self, index: Tensor) -> Memory:
        """Return some rows, in the order asked for."""
        return replace(self, index=index if self.index is None else self.index[index])

    def each(self, of_images: Tensor) -> Tensor:
        """Return for each row (n, …) what was made of its image."""
        return of_images if self.index is None else of_images[self.index]


class Decoder(nn.Module):
    """What writes captions of images that it is shown.

    Attributes
    ----------
    tokens : size of the vocabulary
    """

    tokens: int

    def forward(self, memory: Memory, tokens: Tensor) -> Tensor:
        """Return the logits (m, t, tokens) of what follows each of the tokens (m, t)."""
        raise TypeError(f"{type(self).__name__} must say what follows")

    def seen(self, memory: Memory) -> State:
        """Return what is made of images (n, …) once, for all their captions and tokens."""
        raise TypeError(f"{type(self).__name__} must say what it makes of images")

    def start(self, memory: Memory, seen: State) -> State:
        """Return the state (n, …) before the first token, of one caption for each image."""
        raise TypeError(f"{type(self).__name__} must say how it starts")

    def step(self, seen: State, state: State, tokens: Tensor, place: int) -> tuple[Tensor, State]:
        """Return the logits (m, tokens) of what follows the tokens (m,), and the state after.

        Parameters
        ----------
        seen : of n images, of each of which there are m / n captions, one after the other
        state : as `start`, or the step before, returned it
        tokens : the last tokens
        place : how many were before
        """
        raise TypeError(f"{type(self).__name__} must say what follows")


class TiedDecoder(Decoder):
    """What our decoders share: embedded tokens, and logits from the same matrix (tied).

    Parameters
    ----------
    tokens : size of the vocabulary
    dropout : of embeddings and answers

    Attributes
    ----------
    sees_places : whether it is shown the positions of images, besides them as a whole
    """

    sees_places = False

    def __init__(self, tokens: int, dropout: float):
        super().__init__()
        self.tokens = tokens
        self.embedding = nn.Embedding(tokens, WIDTH, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=WIDTH**-0.5)
        self.bias = nn.Parameter(torch.zeros(tokens))
        self.dropout = nn.Dropout(dropout)

    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits (…, tokens) of what follows, from (…, width)."""
        return F.linear(self.dropout(hidden), self.embedding.weight, self.bias)


class LSTMDecoder(TiedDecoder):
    """The LSTM of Vinyals et al., "Show and Tell", CVPR 2015 (arXiv 1411.4555), section 3.1.

    The image is its first input, and is not seen again. Hendricks et al. (ECCV 2018) equalised it.
    """

    hidden = 512

    def __init__(self, tokens: int):
        super().__init__(tokens, dropout=0.3)
        self.lstm = nn.LSTM(WIDTH, self.hidden, batch_first=True)
        self.narrow = nn.Linear(self.hidden, WIDTH)

    def forward(self, memory: Memory, tokens: Tensor) -> Tensor:
        """Return the logits (m, t, tokens) of what follows each of the tokens (m, t)."""
        first = memory.each(memory.pooled)[:, None]
        inputs = torch.cat([first, self.embedding(tokens)], dim=1)
        outputs, _ = self._run(self.dropout(inputs))
        return self.logits(self.narrow(outputs[:, 1:]))

    def seen(self, memory: Memory) -> State:
        """Return nothing: the image is in the state."""
        return []

    def start(self, memory: Memory, seen: State) -> State:
        """Return the state after the image."""
        _, (h, c) = self._run(memory.each(memory.pooled)[:, None])
        return [h[0], c[0]]

    def step(self, seen: State, state: State, tokens: Tensor, place: int) -> tuple[Tensor, State]:
        """Return the logits (m, tokens) of what follows the tokens (m,), and the state after."""
        h, c = (part[None].contiguous() for part in state)
        outputs, (h, c) = self._run(self.embedding(tokens)[:, None], (h, c))
        return self.logits(self.narrow(outputs[:, 0])), [h[0], c[0]]

    def _run(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the outputs and the state after, in full precision: not every CPU has another."""
        with torch.autocast(inputs.device.type, enabled=False):
            outputs, after = self.lstm(inputs.float(), state)
        return outputs, after


class TransformerDecoder(TiedDecoder):
    """A small transformer that attends to the positions of an image and to the tokens before.

    Vaswani et al., "Attention Is All You Need", NeurIPS 2017 (arXiv 1706.03762), section 3, with
    the normalisation before each part. The features of the whole image are added to each token: by
    that way a backbone that starts from nothing learns before the decoder knows where to look.
    """

    layers = 2
    sees_places = True

    def __init__(self, tokens: int):
        super().__init__(tokens, dropout=0.1)
        self.blocks = nn.ModuleList(Block(WIDTH) for _ in range(self.layers))
        self.norm = nn.LayerNorm(WIDTH)
        self.register_buffer("places", _places(LONGEST, WIDTH), persistent=False)

    places: Tensor

    def forward(self, memory: Memory, tokens: Tensor) -> Tensor:
        """Return the logits (m, t, tokens) of what follows each of the tokens (m, t)."""
        hidden = self._embedded(tokens, 0, memory.each(memory.pooled))
        for block in self._blocks():
            hidden, _ = block(hidden, block.seen(memory), None)
        return self.logits(self.norm(hidden))

    def attention(self, memory: Memory, tokens: Tensor) -> Tensor:
        """Return the attention (m, t, positions) of the last layer, the mean over its heads."""
        hidden = self._embedded(tokens, 0, memory.each(memory.pooled))
        *before, last = self._blocks()
        for block in before:
            hidden, _ = block(hidden, block.seen(memory), None)
        return last.looks(hidden, last.seen(memory))

    def seen(self, memory: Memory) -> State:
        """Return the features of whole images, and keys and values for each layer."""
        parts = [part for block in self._blocks() for part in block.seen(memory)]
        return [memory.each(memory.pooled), *parts]

    def start(self, memory: Memory, seen: State) -> State:
        """Return the keys and values of no tokens, for each layer."""
        return [part[:, :, :0] for part in seen[1:]]

    def step(self, seen: State, state: State, tokens: Tensor, place: int) -> tuple[Tensor, State]:
        """Return the logits (m, tokens) of what follows the tokens (m,), and the state after."""
        whole, *parts = seen
        of_captions = whole.repeat_interleave(len(tokens) // len(whole), dim=0)
        hidden, after = self._embedded(tokens[:, None], place, of_captions), State()
        for i, block in enumerate(self._blocks()):
            of_images, before = ((of[2 * i], of[2 * i + 1]) for of in (parts, state))
            hidden, now = block(hidden, of_images, before)
            after += now
        return self.logits(self.norm(hidden[:, 0])), after

    def _embedded(self, tokens: Tensor, place: int, whole: Tensor) -> Tensor:
        """Return tokens (m, t) from a place on, of images (m, width), as (m, t, width)."""
        embedded = math.sqrt(WIDTH) * self.embedding(tokens)
        embedded = embedded + self.places[place : place + tokens.shape[1]]
        return cast(Tensor, self.dropout(embedded + whole[:, None]))

    def _blocks(self) -> list[Block]:
        """Return the layers."""
        return cast(list[Block], [*self.blocks])


class Attention(nn.Module):
    """Attention of several heads, whose keys and values can be kept."""

    heads = 4

    def __init__(self, width: int):
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def keys(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values (m, heads, positions, width / heads) of (m, positions, width)."""
        key, value = self.key_value(seen).chunk(2, dim=2)
        return self._by_head(key), self._by_head(value)

    def forward(
        self, hidden: Tensor, keys: tuple[Tensor, Tensor], *, causal: bool = False
    ) -> Tensor:
        """Return what is read for (m, t, width) from keys and values."""
        query = self._by_head(self.query(hidden))
        read = F.scaled_dot_product_attention(query, *keys, is_causal=causal)
        return cast(Tensor, self.out(read.transpose(1, 2).flatten(2)))

    def weights(self, hidden: Tensor, keys: tuple[Tensor, Tensor]) -> Tensor:
        """Return where (m, t, width) look, (m, t, positions), the mean over heads."""
        query = self._by_head(self.query(hidden))
        scores = query @ keys[0].transpose(2, 3) / math.sqrt(query.shape[3])
        return scores.float().softmax(dim=3).mean(dim=1)

    def _by_head(self, values: Tensor) -> Tensor:
        """Return (m, t, width) as (m, heads, t, width / heads)."""
        return values.view(*values.shape[:2], self.heads, -1).transpose(1, 2)


class Block(nn.Module):
    """A layer: attention to the tokens before, to the image, and two linear layers."""

    def __init__(self, width: int):
        super().__init__()
        self.self_attention, self.cross = Attention(width), Attention(width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(0.1)

    def forward(
        self, hidden: Tensor, seen: tuple[Tensor, Tensor], before: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return (m, t, width) after the layer, and the keys and values of all tokens.

        Parameters
        ----------
        hidden : (m, t, width)
        seen : keys and values of the images; of fewer than there are rows where each has several
            captions, of one token here
        before : those of earlier tokens, where hidden is what follows; None: hidden is from the
            start, and no token sees a later one
        """
        hidden, now = self._after_self(hidden, before)
        normal = self.norms[1](hidden)
        by_image = normal.view(len(seen[0]), -1, normal.shape[2])  # its captions side by side
        hidden = hidden + self.dropout(self.cross(by_image, seen).view_as(hidden))
        wide = F.gelu(self.wide(self.norms[2](hidden)))
        return hidden + self.dropout(self.narrow(wide)), now

    def seen(self, memory: Memory) -> tuple[Tensor, Tensor]:
        """Return keys and values of the positions of an image, made once of each image."""
        keys, values = self.cross.keys(memory.grid)
        return memory.each(keys), memory.each(values)

    def looks(self, hidden: Tensor, seen: tuple[Tensor, Tensor]) -> Tensor:
        """Return where (m, t, width) look in the image, (m, t, positions)."""
        hidden, _ = self._after_self(hidden, None)
        return self.cross.weights(self.norms[1](hidden), seen)

    def _after_self(
        self, hidden: Tensor, before: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return (m, t, width) after the first part, and the keys and values of all tokens."""
        normal = self.norms[0](hidden)
        keys = self.self_attention.keys(normal)
        if before is not None:
            keys = (torch.cat([before[0], keys[0]], 2), torch.cat([before[1], keys[1]], 2))
        read = self.self_attention(normal, keys, causal=before is None)
        return hidden + self.dropout(read), keys


def make_decoder(name: str, tokens: int) -> Decoder:
    """Return a decoder by its name, see `NAMES`.

    >>> decoder = make_decoder("lstm", tokens=50)
    >>> memory = Memory(torch.zeros(2, WIDTH), torch.zeros(2, 9, WIDTH))
    >>> decoder(memory, torch.ones(2, 5, dtype=torch.long)).shape
    torch.Size([2, 5, 50])
    """
    if name not in NAMES:
        raise InputError(f"there is no decoder {name!r}: choose {' or '.join(NAMES)}")
    return LSTMDecoder(tokens) if name == "lstm" else TransformerDecoder(tokens)


def _places(count: int, width: int) -> Tensor:
    """Return sines and cosines of places (count, width), Vaswani et al. 2017, section 3.5."""
    angles = torch.arange(count)[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
