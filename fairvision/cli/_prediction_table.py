"""How `fairvision predict` shows probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich.table import Table
from rich.text import Text

from fairvision.errors import visible
from fairvision.inference.confidence import FAR, Familiarity
from fairvision.inference.predictions import CONFIDENCE, DISTANCE

MOST_SHOWN = 3
FEW = 200  # held-out images on which a temperature is a rough number
MOST_COLUMNS = 12
WIDTH_OF_PIPES = 160


def table(predictions: pd.DataFrame, heads: Mapping[str, Sequence[str]]) -> Table:
    """Return a row per image.

    A single head of a few labels has a column per label; of several heads, or of many labels, the
    highest probabilities are listed.
    """
    paths = predictions["image"].map(Path)
    names = paths.map(lambda path: path.name)
    names = names if names.is_unique else paths.map(str)
    each = len(heads) == 1 and all(len(labels) <= MOST_COLUMNS for labels in heads.values())
    shown = Table(box=None, header_style="bold", pad_edge=False)
    shown.add_column("picture", overflow="fold")
    for head, labels in heads.items():
        shown.add_column(Text(visible(head)))
        for label in labels if each else ["probabilities"]:
            shown.add_column(Text(visible(label)), justify="right" if each else "left")
        if f"{CONFIDENCE}/{head}" in predictions:
            shown.add_column("confidence", justify="right")
    if DISTANCE in predictions:
        shown.add_column("distance percentile", justify="right")
    for name, (_, row) in zip(names, predictions.iterrows()):
        texts = [Text(visible(name))]
        for head, labels in heads.items():
            scores = {label: row[f"score/{head}/{label}"] for label in labels}
            texts.append(Text(visible(_answer(row[f"answer/{head}"])), style="bold"))
            texts += [_probability(p) for p in scores.values()] if each else [_highest(scores)]
            if f"{CONFIDENCE}/{head}" in predictions:
                texts.append(Text(f"{row[f'{CONFIDENCE}/{head}']:.2f}"))
        if DISTANCE in predictions:
            share = row[DISTANCE]
            texts.append(Text(f"{share:.1%}", style="bold" if share >= FAR else ""))
        shown.add_row(*texts)
    return shown


def notes(predictions: pd.DataFrame, learned: Familiarity) -> list[str]:
    """Return what the last columns say, and what they rest on."""
    lines = []
    for head, temperature in learned.temperature.items():
        n, all_images = learned.annotated[head], learned.held_out
        of = "pictures" if n == all_images else f"of {all_images} pictures, those known,"
        right, mean = learned.accuracy[head], learned.mean_probability[head]
        lines.append(
            f"confidence: the probability of the answer ({head}) with the logits divided by "
            f"{temperature:.2f}, as fits {n} {of} of the split {learned.split}, of "
            f"which {right:.1%} are right and {mean:.1%} is the mean probability before. It holds "
            "for pictures like those." + (" So few give a rough number." if n < FEW else "")
        )
    far = int((predictions[DISTANCE] >= FAR).sum())
    lines.append(
        "distance percentile: the share of these pictures that are nearer to "
        f"{learned.training} training pictures. {far or 'None'} of {len(predictions)} "
        f"{'is' if far == 1 else 'are'} farther than {FAR:.0%}"
        + (": nothing that was measured says how sure the model may be there." if far else ".")
    )
    return lines


def _answer(answer: object) -> str:
    """Return an answer as text; where the network gives NaN, pandas holds None or NaN."""
    if isinstance(answer, tuple):
        return ", ".join(answer) or "none"
    return answer if isinstance(answer, str) else "undefined"


def _probability(value: float) -> Text:
    return Text(f"{value:.2f}", style="bold" if value >= 0.5 else "dim" if value < 0.005 else "")


def _highest(scores: Mapping[str, float]) -> Text:
    """Return the highest probabilities: the first few, and all above .5."""
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    shown = [f"{k} {v:.2f}" for n, (k, v) in enumerate(ranked) if n < MOST_SHOWN or v > 0.5]
    return Text(visible(", ".join(shown)))
