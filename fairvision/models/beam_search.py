"""Writing captions: a beam search over the images of a batch at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fairvision.models.decoders import Decoder, Memory
from fairvision.models.vocabulary import END, LONGEST, PAD, START, UNKNOWN_WORD

BEAMS, MOST_BEAMS = 3, 64


class Written(NamedTuple):
    """What a captioner wrote.

    Attributes
    ----------
    tokens : (n, t) int64, each from its start to its end, then padding
    log_probability : (n,) of the whole caption
    """

    tokens: Tensor
    log_probability: Tensor


@torch.inference_mode()
def search(
    decoder: Decoder, memory: Memory, *, beams: int = BEAMS, longest: int = LONGEST
) -> Written:
    """Return the captions that a beam search finds.

    At each step the `beams` likeliest beginnings of each image are kept. Of those that came to an
    end the one with the largest log-probability per token is taken (Wu et al., "Google's Neural
    Machine Translation System", arXiv 1609.08144, section 7, with a length penalty of 1). One beam
    is a greedy search. Unknown words are not written.

    Parameters
    ----------
    decoder : in evaluation mode
    memory : of n images
    beams : beginnings that are kept
    longest : tokens of a caption at most, with start and end

    Examples
    --------
    >>> from fairvision.models.decoders import WIDTH, make_decoder
    >>> decoder = make_decoder("lstm", tokens=6).eval()
    >>> memory = Memory(torch.zeros(2, WIDTH), torch.zeros(2, 9, WIDTH))
    >>> _ = decoder.bias.data.copy_(torch.tensor([0.0, 0, 0, 0, 9, 9]))
    >>> search(decoder, memory, longest=5).tokens[:, [0, -1]].tolist()
    [[1, 2], [1, 2]]
    """
    n, device = len(memory), memory.pooled.device
    if not n:
        return Written(torch.zeros(0, 2, dtype=torch.long), torch.zeros(0))
    first = torch.arange(n, device=device)
    tokens = torch.full((n, 1, 1), START, device=device)
    scores = torch.zeros(n, 1, device=device)
    ended = torch.zeros(n, 1, dtype=torch.bool, device=device)
    lengths = torch.ones(n, 1, device=device)
    seen = decoder.seen(memory)
    state = decoder.start(memory, seen)
    for place in range(longest - 1):
        logits, state = decoder.step(seen, state, tokens[:, :, -1].flatten(), place)
        following = _allowed(logits, last=place == longest - 2).view(*tokens.shape[:2], -1)
        # What came to an end goes on with padding, at no cost.
        following = torch.where(ended[:, :, None], -torch.inf, following)
        following[:, :, PAD] = torch.where(ended, 0.0, -torch.inf)
        vocabulary = following.shape[2]
        count = min(beams, following[0].numel())
        scores, chosen = (scores[:, :, None] + following).flatten(1).topk(count, dim=1)
        parent, token = chosen // vocabulary, chosen % vocabulary
        rows = (first[:, None] * tokens.shape[1] + parent).flatten()
        state = [part[rows] for part in state]
        kept = tokens.flatten(0, 1)[rows].view(n, count, -1)
        tokens = torch.cat([kept, token[:, :, None]], dim=2)
        ended, lengths = ended.gather(1, parent), lengths.gather(1, parent)
        lengths = lengths + (~ended).float()
        ended = ended | (token == END)
        if bool(ended.all()):
            break
    best = (scores / (lengths - 1)).masked_fill(~ended, -torch.inf).argmax(dim=1)
    return Written(tokens[first, best], scores[first, best])


def _allowed(logits: Tensor, *, last: bool) -> Tensor:
    """Return log-probabilities (m, tokens) of what may follow; at the last place only the end."""
    values = logits.float().log_softmax(dim=1)
    for token in (START, UNKNOWN_WORD):
        values[:, token] = -torch.inf
    if last:
        end = values[:, END].clone()
        values = torch.full_like(values, -torch.inf)
        values[:, END] = end
    return values
