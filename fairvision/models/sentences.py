"""Sentences that a captioner wrote, and how sure it was of the words that name a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fairvision.metrics.caption_tokens import plain_text
from fairvision.models.beam_search import BEAMS, search
from fairvision.models.vocabulary import LONGEST, PAD, Vocabulary
from fairvision.models.writing import Captioner


@dataclass(frozen=True)
class Mention:
    """A word of a sentence that names a group.

    Attributes
    ----------
    word, group : the word, and whose it is
    step : position of its token, counted from the start
    probability : of the word, given those before
    groups : probabilities of the words of each group together, in its place
    """

    word: str
    group: str
    step: int
    probability: float
    groups: Mapping[str, float]


@dataclass(frozen=True)
class Sentence:
    """What a captioner wrote of an image.

    Attributes
    ----------
    text : the sentence; in lower case, but for tokenizers that came with a captioner
    tokens : from its start to its end
    log_probability : of the whole sentence
    mentions : the words that name a group, in their order
    """

    text: str
    tokens: tuple[int, ...]
    log_probability: float
    mentions: tuple[Mention, ...]


@torch.inference_mode()
def write(
    captioner: Captioner,
    vocabulary: Vocabulary,
    images: Tensor,
    *,
    beams: int = BEAMS,
    longest: int = LONGEST,
) -> list[Sentence]:
    """Return a sentence for each image.

    Parameters
    ----------
    captioner : in evaluation mode
    vocabulary : that it was trained with
    images : (n, 3, size, size) in [0, 1]
    beams, longest : see `fairvision.models.beam_search.search`

    Examples
    --------
    >>> from fairvision import models
    >>> vocabulary = Vocabulary.learn(["a man", "a woman"])
    >>> captioner = models.build_captioner("small_cnn", vocabulary, size=32).eval()
    >>> len(write(captioner, vocabulary, torch.zeros(2, 3, 32, 32), longest=6))
    2
    """
    memory = captioner.encode(images)
    written = search(captioner.decoder, memory, beams=beams, longest=longest)
    logits = captioner.decoder(memory, written.tokens[:, :-1])
    probabilities = logits.float().softmax(dim=2)
    of_groups = (probabilities @ captioner.membership).cpu()
    of_words = probabilities.gather(2, written.tokens[:, 1:, None])[:, :, 0].cpu()
    group_of = torch.where(captioner.membership.any(dim=1), captioner.membership.argmax(dim=1), -1)
    groups = group_of[written.tokens].cpu().tolist()
    named = [frozenset(map(plain_text, of_group)) for of_group in captioner.words.values()]
    sentences = []
    for row, tokens in enumerate(written.tokens.cpu().tolist()):
        kept = tuple(token for token in tokens if token != PAD)
        at = [step for step in range(len(kept)) if groups[row][step] >= 0]
        mentioned = {step: vocabulary.word_at(kept, step) for step in at}
        mentions = tuple(
            Mention(
                word,
                [*captioner.words][groups[row][step]],
                step,
                float(of_words[row, step - 1]),
                dict(zip(captioner.words, of_groups[row, step - 1].tolist())),
            )
            for step, word in mentioned.items()
            if word in named[groups[row][step]]
        )
        score = float(written.log_probability[row])
        sentences.append(Sentence(vocabulary.decode(kept), kept, score, mentions))
    return sentences


def padded(tokens: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> Tensor:
    """Return sentences as (m, t) int64, filled up with padding.

    >>> padded([[1, 4, 2], [1, 2]])
    tensor([[1, 4, 2],
            [1, 2, 0]])
    """
    return torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(one, device=device) for one in tokens], batch_first=True, padding_value=PAD
    )
