"""Tables on a terminal: what is in a dataset, and what a model predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fairvision.errors import visible

if TYPE_CHECKING:
    from fairvision.datasets.folder import Description
    from fairvision.inference.confidence import Familiarity

WIDTH_OF_PIPES = 160
_MOST_LABELS = 15
_MOST_SKEWS = 12
_MOST_SHOWN = 3
_MOST_COLUMNS = 12
_FEW = 200  # held-out images on which a temperature is a rough number


def show_dataset(description: Description) -> None:
    """Print what `fairvision.datasets.describe` returned."""
    console = Console(markup=False, highlight=False, emoji=False)
    console.print(visible(f"{description['name']} ({description['folder']})"), style="bold")
    for key, value in (("source", description["source"]), ("licence", description["licence"])):
        if value:
            console.print(visible(f"{key}: {value}"))
    counts = description["counts"]
    overview = counts[counts["name"] == ""]
    console.print(_table("", overview, overview["kind"]))
    if of_captions := description["captions"]:
        words = of_captions["words"]
        console.print(
            f"{of_captions['captions']} captions of {of_captions['images']} pictures, of "
            f"{words['mean']:.1f} words on average ({words['min']} to {words['max']})"
        )
    named = counts[counts["name"] != ""]
    for (kind, name), part in named.groupby(["kind", "name"], sort=False):
        console.print(_count_table(visible(f"{kind} {name}"), part))
    for (task, attribute), part in description["skew"].groupby(["task", "attribute"], sort=False):
        console.print(_skew_table(visible(f"{task} by {attribute}"), part))
    for line in description["warnings"]:
        console.print(visible(f"warning: {line}"), style="yellow")


def show_power(gaps: pd.DataFrame, split: str) -> None:
    """Print what `fairvision.auditing.power.detectable_gaps` returned."""
    console = Console(markup=False, highlight=False, emoji=False)
    if not len(gaps):
        console.print("no attribute: there are no groups between which a gap could be")
        return
    levels = list(dict.fromkeys(gaps["accuracy"]))
    for attribute, part in gaps.groupby("attribute", sort=False):
        pairs = part.groupby(["group", "other"], sort=False)
        title = f"{attribute}: smallest gap in accuracy that split {split} can show, in points"
        table = Table("groups", title=visible(title), title_justify="left", title_style="bold")
        for column in ("pictures", "as many as", *(f"at {level:.0%}" for level in levels)):
            table.add_column(column, justify="right")
        ordered = sorted((of for _, of in pairs), key=lambda of: of["gap"].fillna(9).max())
        for of in ordered[:_MOST_LABELS]:
            first = of.iloc[0]
            table.add_row(
                visible(f"{first['group']}, {first['other']}"),
                f"{first['n']:,}, {first['other_n']:,}",
                f"{first['effective']:,.0f}, {first['other_effective']:,.0f}",
                *("none" if gap != gap else f"{100 * gap:.1f}" for gap in of["gap"]),
            )
        console.print(table)
        if len(ordered) > _MOST_LABELS:
            console.print(f"and {len(ordered) - _MOST_LABELS} more pairs of groups: see --json")
    console.print(
        "“as many as”: independent pictures that say as much. “at 90%”: the group that fares "
        "better is right so often. A gap is shown in 80% of data sets, its 95% interval above zero."
    )


def _count_table(title: str, counts: pd.DataFrame) -> Table:
    """Return the table of counts by label, with the most frequent ones if there are many."""
    shown = counts
    if len(counts) > _MOST_LABELS:
        shown = counts.sort_values("all", ascending=False, kind="stable").head(_MOST_LABELS)
        title += f": the {_MOST_LABELS} most frequent of {len(counts)}"
    return _table(title, shown, shown["value"])


def _table(title: str, counts: pd.DataFrame, names: pd.Series) -> Table:
    """Return a table of counts for the terminal, with a name before each row."""
    numbers = counts.drop(columns=["kind", "name", "value"])
    table = Table("", title=title, title_justify="left", title_style="bold")
    for column in numbers:
        table.add_column(str(column), justify="right")
    for name, row in zip(names, numbers.itertuples(index=False)):
        table.add_row(visible(name), *map(str, row))
    return table


def _skew_table(title: str, skew: pd.DataFrame) -> Table:
    """Return the table of labels that are more frequent in a group than in all."""
    above = skew[skew["skew"] > 0]
    shown = above.head(_MOST_SKEWS)
    title += ": labels that go with a group"
    if len(above) > len(shown):
        title += f", {len(shown)} of {len(above)}"
    table = Table("label", "group", title=title, title_justify="left", title_style="bold")
    for column in ("its share", "in all", "skew", "n"):
        table.add_column(column, justify="right")
    for row in shown.to_dict("records"):
        table.add_row(
            visible(row["label"]),
            visible(row["group"]),
            f"{row['share']:.1%}",
            f"{row['overall']:.1%}",
            f"{row['skew']:+.1%}",
            f"{row['n']} (few)" if row["few"] else str(row["n"]),
        )
    return table


def prediction_table(predictions: pd.DataFrame, heads: Mapping[str, Sequence[str]]) -> Table:
    """Return a row per image.

    A single head of a few labels has a column per label; of several heads, or of many labels, the
    highest probabilities are listed.
    """
    from fairvision.inference.confidence import FAR
    from fairvision.inference.predictions import CONFIDENCE, DISTANCE

    paths = predictions["image"].map(Path)
    names = paths.map(lambda path: path.name)
    names = names if names.is_unique else paths.map(str)
    is_wide = len(heads) == 1 and all(len(labels) <= _MOST_COLUMNS for labels in heads.values())
    shown = Table(box=None, header_style="bold", pad_edge=False)
    shown.add_column("picture", overflow="fold")
    for head, labels in heads.items():
        shown.add_column(Text(visible(head)))
        for label in labels if is_wide else ["probabilities"]:
            shown.add_column(Text(visible(label)), justify="right" if is_wide else "left")
        if f"{CONFIDENCE}/{head}" in predictions:
            shown.add_column("confidence", justify="right")
    if DISTANCE in predictions:
        shown.add_column("distance percentile", justify="right")
    for name, (_, row) in zip(names, predictions.iterrows()):
        texts = [Text(visible(name))]
        for head, labels in heads.items():
            scores = {label: row[f"score/{head}/{label}"] for label in labels}
            texts.append(Text(visible(_answer(row[f"answer/{head}"])), style="bold"))
            texts += [_probability(p) for p in scores.values()] if is_wide else [_highest(scores)]
            if f"{CONFIDENCE}/{head}" in predictions:
                texts.append(Text(f"{row[f'{CONFIDENCE}/{head}']:.2f}"))
        if DISTANCE in predictions:
            share = row[DISTANCE]
            texts.append(Text(f"{share:.1%}", style="bold" if share >= FAR else ""))
        shown.add_row(*texts)
    return shown


def prediction_notes(predictions: pd.DataFrame, familiarity: Familiarity) -> list[str]:
    """Return what the last columns say, and what they rest on."""
    from fairvision.inference.confidence import FAR
    from fairvision.inference.predictions import DISTANCE

    lines, held_out = [], familiarity.held_out
    for head, temperature in familiarity.temperature.items():
        n = familiarity.annotated[head]
        of = "pictures" if n == held_out else f"of {held_out} pictures, those known,"
        lines.append(
            f"confidence: the probability of the answer ({head}) with the logits divided by "
            f"{temperature:.2f}, as fits {n} {of} of the split {familiarity.split}, of which "
            f"{familiarity.accuracy[head]:.1%} are right and "
            f"{familiarity.mean_probability[head]:.1%} is the mean probability before. It holds "
            "for pictures like those." + (" So few give a rough number." if n < _FEW else "")
        )
    far = int((predictions[DISTANCE] >= FAR).sum())
    lines.append(
        "distance percentile: the share of these pictures that are nearer to "
        f"{familiarity.training} training pictures. {far or 'None'} of {len(predictions)} "
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
    """Return a probability with two digits: bold from 0.5 on, dim if near 0."""
    return Text(f"{value:.2f}", style="bold" if value >= 0.5 else "dim" if value < 0.005 else "")


def _highest(scores: Mapping[str, float]) -> Text:
    """Return the highest probabilities: the first few, and all above .5."""
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    shown = [f"{k} {v:.2f}" for n, (k, v) in enumerate(ranked) if n < _MOST_SHOWN or v > 0.5]
    return Text(visible(", ".join(shown)))
