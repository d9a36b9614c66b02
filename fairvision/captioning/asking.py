"""Asking captioners: of whole images, without the person, alone, and in other surroundings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from rich.progress import track
from torch import Tensor

from fairvision import metrics
from fairvision.attribution.word_maps import word_maps
from fairvision.auditing.miniatures import GRID, miniatures
from fairvision.auditing.swaps import Donors, pairs_of, swapped_images
from fairvision.auditing.tables import MEASURES
from fairvision.captioning.asked import Asked
from fairvision.datasets import Batch, Dataset, batches, open_pixels
from fairvision.datasets.hiding import hide, widened
from fairvision.methods.captions.method import group_probabilities
from fairvision.methods.equalizer import spread
from fairvision.metrics import caption_genders
from fairvision.models.beam_search import BEAMS
from fairvision.models.sentences import Sentence, padded
from fairvision.runs.caption_model import CaptionModel


@dataclass
class _Answers:
    """What is gathered of the images, batch by batch."""

    whole: list[str] = field(default_factory=list)
    hidden: list[str | None] = field(default_factory=list)
    person: list[str | None] = field(default_factory=list)
    pairs: list[pd.DataFrame] = field(default_factory=list)
    evidence: list[pd.DataFrame] = field(default_factory=list)
    maps: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


def ask(
    model: CaptionModel,
    dataset: Dataset,
    donors: Donors | None,
    words: Mapping[str, frozenset[str]],
    *,
    attribution: str | None,
    fill: str,
    beams: int = BEAMS,
    batch_size: int = 64,
    workers: int | None = None,
    cache: str = "auto",
    quiet: bool = True,
) -> Asked:
    """Return what a captioner writes of images, and what it writes where they are changed.

    The images stream; no more than `batch_size` of them are in the network at a time.

    Parameters
    ----------
    model : a trained captioner
    dataset : the images, n of them
    donors : in whose surroundings people are shown, see `fairvision.auditing.swaps.plan`; None for
        nowhere else
    words : the words of each group
    attribution : how evidence for the first word that names a group is found, one of
        `fairvision.attribution.word_maps.METHODS`; None for no evidence
    fill : how the place of a person is filled where others are pasted
    beams : of the beam search
    """
    pixels = open_pixels(dataset, model.geometry, workers=workers, quiet=quiet, cache=cache)
    answers = _Answers()
    for batch in track(
        batches(dataset, pixels, batch_size, device=model.device),
        description=f"asks {model.name}",
        total=-(-len(dataset) // batch_size),
        disable=quiet,
        transient=True,
    ):
        whole = model.write(batch.images, beams=beams)
        answers.whole += [sentence.text for sentence in whole]
        answers.words += [_first_word(sentence) for sentence in whole]
        for kind, texts in _without(model, batch, beams).items():
            getattr(answers, kind).extend(texts)
        answers.evidence.append(_evidence(model, batch, whole, attribution, answers.maps))
        if donors is not None:
            pairs = pairs_of(batch.rows[batch.has_mask.cpu().numpy()], donors)
            texts = [
                sentence.text
                for images in swapped_images(batch, pixels, pairs, fill, batch_size)
                for sentence in model.write(images, beams=beams)
            ]
            answers.pairs.append(pairs.assign(text=pd.Series(texts, dtype=object)))
        pixels.release()
    return _asked(answers, dataset, donors, words)


def _first_word(sentence: Sentence) -> str:
    """Return the first word that names a group, or ""."""
    return sentence.mentions[0].word if sentence.mentions else ""


def _without(model: CaptionModel, batch: Batch, beams: int) -> dict[str, list[str | None]]:
    """Return what is written with the person hidden, and of the person alone; None without mask."""
    masked = batch.has_mask
    images, person = batch.images[masked], widened(batch.masks[masked])
    rows = masked.nonzero()[:, 0].tolist()
    texts: dict[str, list[str | None]] = {}
    for kind, hidden in (("hidden", person), ("person", 1 - person)):
        texts[kind] = [None] * len(batch.images)
        if rows:
            for row, sentence in zip(rows, model.write(hide(images, hidden), beams=beams)):
                texts[kind][row] = sentence.text
    return texts


def _evidence(
    model: CaptionModel,
    batch: Batch,
    sentences: Sequence[Sentence],
    method: str | None,
    maps: list[npt.NDArray[np.uint8]],
) -> pd.DataFrame:
    """Return the measures of evidence for the first word of each that names a group.

    Besides them `chance`, the mask's share of the image, and `hidden_gap`, how far the groups'
    probabilities are apart in that word's place with the person hidden. NaN where undefined. Small
    copies of the maps are added to `maps`.
    """
    n = len(sentences)
    names = (*MEASURES, "chance", "hidden_gap")
    table = pd.DataFrame(np.full((n, len(names)), np.nan), columns=list(names))
    has_mask = batch.has_mask.cpu().numpy()
    table.loc[has_mask, "chance"] = batch.masks.mean(dim=(1, 2, 3)).cpu().numpy()[has_mask]
    small = np.zeros((n, GRID, GRID), np.uint8)
    maps.append(small)
    rows = [row for row, sentence in enumerate(sentences) if sentence.mentions]
    if not rows:
        return table
    tokens = padded([sentences[row].tokens for row in rows], model.device)
    steps = torch.tensor([sentences[row].mentions[0].step for row in rows], device=model.device)
    images, masks = batch.images[rows].to(model.device), batch.masks[rows].to(model.device)
    table.loc[rows, "hidden_gap"] = np.where(
        has_mask[rows], _hidden_gap(model, images, masks, tokens, steps), np.nan
    )
    if method is None:
        return table
    of_words = word_maps(model.module, images, tokens, steps, method)
    small[rows] = miniatures(of_words).numpy()
    for measure in MEASURES:
        values = getattr(metrics, measure)(of_words, masks[:, 0]).cpu().numpy()
        table.loc[rows, measure] = np.where(has_mask[rows], values, np.nan)
    return table


@torch.inference_mode()
def _hidden_gap(
    model: CaptionModel, images: Tensor, masks: Tensor, tokens: Tensor, steps: Tensor
) -> npt.NDArray[np.float64]:
    """Return how far the groups' probabilities are apart at a word, the person hidden, (n,)."""
    memory = model.module.encode(hide(images, widened(masks)))
    logits = model.module.decoder(memory, tokens[:, :-1])
    shares = group_probabilities(logits, model.module.membership)
    at_steps = shares[torch.arange(len(tokens), device=tokens.device), steps - 1]
    return spread(at_steps).double().cpu().numpy()


def _asked(
    answers: _Answers,
    dataset: Dataset,
    donors: Donors | None,
    words: Mapping[str, frozenset[str]],
) -> Asked:
    """Return what was gathered, by image."""
    evidence = pd.concat(answers.evidence, ignore_index=True)
    pairs = None
    if donors is not None:
        pairs = pd.concat(answers.pairs, ignore_index=True)
        pairs["named"] = caption_genders(pairs["text"], words)
    return Asked(
        whole=answers.whole,
        hidden=answers.hidden,
        person=answers.person,
        words=answers.words,
        evidence=evidence,
        maps=np.concatenate(answers.maps),
        pairs=pairs,
        ids=list(dataset.samples["id"]),
    )
