"""What an audit of captions cannot say, and what to know before trusting what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fairvision.auditing.cautions import few_images
from fairvision.captioning.labels import Labels
from fairvision.captioning.measures import ModelCaptions
from fairvision.core.spellings import seem_missing
from fairvision.errors import shown
from fairvision.metrics.caption_words import tokens
from fairvision.results.words import listed


def left_out(
    truth: Labels,
    words: Mapping[str, frozenset[str]],
    *,
    reference: Labels | None,
    human: Sequence[tuple[str, ...] | None] | None,
    rounds: int,
) -> list[str]:
    """Name every measure that is left out, with the reason."""
    lines = []
    if len(words) != 2:
        lines.append(f"the ratio: it is one of two groups, and there are {len(words)}")
    if not truth.task:
        lines.append("amplification: the labels table has no column of objects")
    elif reference is None:
        lines.append(
            "amplification against training: no --train was given, so the truth of the audited "
            "pictures stands for it, and MALS compares with that"
        )
    if not rounds:
        lines.append("LIC: no rounds were asked for")
    elif human is None:
        lines.append(
            "LIC itself: no captions by people were given, so what these tell (LIC_D) is not taken "
            "off; LIC_M alone compares the models"
        )
    return lines


def cautions(
    models: Sequence[ModelCaptions],
    truth: Labels,
    words: Mapping[str, frozenset[str]],
    human: Sequence[tuple[str, ...] | None] | None,
) -> Iterator[str]:
    """Yield what to know before trusting figures."""
    attribute, rows = truth.attribute, truth.rows
    yield from few_images(
        attribute, {group: int((rows["group"] == group).sum()) for group in words}
    )
    unknown = int(rows["group"].isna().sum())
    if unknown:
        yield f"{attribute}: unknown for {unknown} of {len(truth)} pictures: they take no part"
    for model in models:
        never = [group for group in words if not (model.named == group).any()]
        if never:
            yield f"{attribute}: {model.model} never names {listed(never)}"
        empty = sum(not caption.strip() for caption in model.captions)
        if empty:
            yield f"{model.model}: {empty} of {len(truth)} captions are empty: they name nobody"
        if nothing := sorted({*filter(str.strip, seem_missing(model.captions))}):
            n = sum(caption in nothing for caption in model.captions)
            texts = listed([*map(shown, nothing)])
            yield (
                f"{model.model}: {n} of {len(truth)} captions are {texts}: they name nobody; leave "
                "them out if there are none"
            )
    if truth.task:
        unknown = int(rows["objects"].isna().sum())
        if unknown:
            yield (
                f"{truth.task}: unknown for {unknown} of {len(truth)} pictures: they take no part "
                "in amplification"
            )
        foreign = [label for label in truth.vocabulary if not tokens(label)]
        if foreign:
            yield (
                f"{truth.task}: {listed(foreign)} cannot be found in captions: their words are "
                "made of the letters a to z and digits"
            )
    if human is not None:
        lacking = sum(not texts for texts in human)
        if lacking:
            yield f"people wrote nothing of {lacking} of {len(truth)} pictures: not in LIC"
