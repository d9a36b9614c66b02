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


def table(found: pd.DataFrame, heads: Mapping[str, Sequence[str]]) -> Table:
    """Return a row per image.

    A single head of a few labels has a column per label; of several heads, or of many labels, the
    highest probabilities are listed.
    """
    paths = found["image"].map(Path)
    names = paths.map(lambda path: path.name)
    names = names if names.is_unique else paths.map(str)
    each = len(heads) == 1 and all(len(labels) <= MOST_COLUMNS for labels in heads.values())
    shown = Table(box=None, header_style="bold", pad_edge=False)
    shown.add_column("picture", overflow="fold")
    for head, labels in heads.items():
        shown.add_column(Text(visible(head)))
        for label in labels if each else ["probabilities"]:
            shown.add_column(Text(visible(label)), justify="right" if each else "left")
        if f"{CONFIDENCE}/{head}" in found:
            shown.add_column("confidence", justify="right")
    if DISTANCE in found:
        shown.add_column("distance percentile", justify="right")
    for name, (_, row) in zip(names, found.iterrows()):
        cells = [Text(visible(name))]
        for head, labels in heads.items():
            scores = {label: row[f"score/{head}/{label}"] for label in labels}
            cells.append(Text(visible(_answer(row[f"answer/{head}"])), style="bold"))
            cells += [_probability(p) for p in scores.values()] if each else [_highest(scores)]
            if f"{CONFIDENCE}/{head}" in found:
                cells.append(Text(f"{row[f'{CONFIDENCE}/{head}']:.2f}"))
        if DISTANCE in found:
            share = row[DISTANCE]
            cells.append(Text(f"{share:.1%}", style="bold" if share >= FAR else ""))
        shown.add_row(*cells)
    return shown


def notes(found: pd.DataFrame, known: Familiarity) -> list[str]:
    """Return what the last columns say, and what they rest on."""
    said = []
    for head, temperature in known.temperature.items():
        n = known.annotated[head]
        of = "pictures" if n == known.held_out else f"of {known.held_out} pictures, those known,"
        said.append(
            f"confidence: the probability of the answer ({head}) with the logits divided by "
            f"{temperature:.2f}, as fits {n} {of} of the split {known.split}, of "
            f"which {known.accuracy[head]:.1%} are right and {known.mean_probability[head]:.1%} is "
            "the mean probability before. It holds for pictures like those."
            + (" So few give a rough number." if n < FEW else "")
        )
    far = int((found[DISTANCE] >= FAR).sum())
    said.append(
        "distance percentile: the share of these pictures that are nearer to "
        f"{known.training} training pictures. {far or 'None'} of {len(found)} "
        f"{'is' if far == 1 else 'are'} farther than {FAR:.0%}"
        + (": nothing that was measured says how sure the model may be there." if far else ".")
    )
    return said


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
