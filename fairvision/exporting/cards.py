"""Model cards in the format of Hugging Face, one for each model of an audit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from fairvision.core.extras import need
from fairvision.core.files import inside, plain_name, whole_folder, write_json, write_text
from fairvision.errors import one_line
from fairvision.results.audit_folder import AuditFolder
from fairvision.results.figures import Figure, difference_of
from fairvision.results.words import words_of

MARKER = "cards.json"
CARD = "README.md"
_MARKS = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$:@])")


def write_cards(audit: AuditFolder, *, output: str | Path, overwrite: bool = False) -> Path:
    """Write `MODEL/README.md` for each model, and return the folder.

    The card's metadata hold each defined figure of the whole and of groups (not those of single
    labels) as a result of an evaluation; its text has them with interval and n, undefined ones too.
    """
    hub = need("huggingface_hub", "hf")
    with whole_folder(output, marker=MARKER, overwrite=overwrite) as folder:
        for model in audit.models:
            place = inside(folder, model)
            place.mkdir()
            write_text(place / CARD, card(audit, model, hub))
        write_json(folder / MARKER, {"fairvision": audit.version, "models": audit.models})
    return Path(output)


def card(audit: AuditFolder, model: str, hub: Any) -> str:
    """Return the text of a model's card; `hub` is the package huggingface_hub."""
    metrics = audit.metrics[audit.metrics["label"] == ""]
    rows = metrics[metrics["model"] == model].to_dict("records")
    metadata = hub.ModelCardData(
        model_name=model,
        tags=["fairvision", "bias-audit"],
        eval_results=[_result(audit, row, hub) for row in rows if math.isfinite(row["value"])]
        or None,
    )
    text = f"---\n{metadata.to_yaml()}\n---\n\n" + "\n".join(_body(audit, model, metrics)) + "\n"
    return str(hub.ModelCard(text, ignore_metadata_errors=False))


def _result(audit: AuditFolder, row: Mapping[Any, Any], hub: Any) -> Any:
    """Return a figure as the result of an evaluation, with interval and n."""
    name, subject = words_of(row["metric"], row["attribute"], row["task"]).title, _subject(row)
    numbers = {
        "confidence": float(audit.settings.get("confidence", math.nan)),
        "low": float(row["low"]),
        "high": float(row["high"]),
        "n": int(row["n"]),
    }
    return hub.EvalResult(
        task_type="image-classification" if audit.marker == "audit.json" else "image-to-text",
        dataset_type=plain_name(str(audit.settings.get("dataset", ""))),
        dataset_name=one_line(audit.settings.get("dataset", "")),
        dataset_split=one_line(audit.settings.get("split", "")),
        metric_type=row["metric"],
        metric_name=f"{name} ({subject})" if subject else name,
        metric_value=float(row["value"]),
        metric_args={key: value for key, value in numbers.items() if math.isfinite(value)},
    )


def _body(audit: AuditFolder, model: str, metrics: pd.DataFrame) -> Iterator[str]:
    """Yield the lines of a card below its metadata."""
    first, settings = audit.models[0], audit.settings
    yield f"# {_plain(model)}: audit"
    yield ""
    yield (
        f"Audited by fairvision {_plain(audit.version)} on {settings.get('n', '?')} pictures of "
        f"{_plain(settings.get('dataset', ''))}, split {_plain(settings.get('split', ''))}. Groups "
        "are perceived, as annotated. What no interval shows is not shown to be absent."
    )
    for line in audit.verdict.headline.splitlines():
        yield f"\n> {_plain(line)}"
    if audit.verdict.answers:
        yield "\n## What was asked\n"
        for answer in audit.verdict.answers:
            yield f"- **{_plain(answer.question)}** {_plain(answer.answer)}"
    yield "\n## Figures\n"
    yield from _table(metrics[metrics["model"] == model], settings)
    change = metrics[metrics["model"] == difference_of(first, model)]
    if len(change):
        yield f"\n## Differences from {_plain(first)}\n"
        yield from _table(change, settings)
    for title, lines in (
        ("What was not measured", audit.verdict.left_out),
        ("What to know", audit.verdict.warnings),
    ):
        if lines:
            yield f"\n## {title}\n"
            yield from (f"- {_plain(line)}" for line in lines)
    about = {**{k: v for k, v in settings.items() if k != "runs"}, **audit.record(model)}
    yield "\n## How\n"
    yield from (
        f"- {_plain(name)}: {_plain(value)}"
        for name, value in about.items()
        if isinstance(value, (str, int, float)) and value != ""
    )


def _table(rows: pd.DataFrame, settings: Any) -> Iterator[str]:
    """Yield the lines of a table of figures."""
    yield f"| figure | of | value | {settings.get('confidence', 0.95):.0%} interval | n |"
    yield "|---|---|---|---|---|"
    for row in rows.to_dict("records"):
        figure = Figure(row["value"], row["low"], row["high"], row["n"], row["unit"])
        title = words_of(row["metric"], row["attribute"], row["task"]).title
        shown = [title, _subject(row), "undefined", "", str(figure.n)]
        if figure.defined:
            shown[2:4] = str(figure), figure.interval
        yield f"| {' | '.join(map(_plain, shown))} |"


def _subject(row: Mapping[Any, Any]) -> str:
    """Return what a figure is about: task, attribute and group."""
    groups = f"{row['attribute']}: {row['group']}" if row["group"] else row["attribute"]
    return " by ".join(part for part in (row["task"], groups) if part)


def _plain(text: object) -> str:
    """Return text as Markdown that shows it: one line, without marks of Markdown or HTML.

    >>> print(_plain("a|b <script> *x*"))
    a\\|b \\<script\\> \\*x\\*
    """
    return _MARKS.sub(r"\\\1", one_line(text, 2000))
