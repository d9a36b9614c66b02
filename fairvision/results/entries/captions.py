"""Whom captions name, what the rest of them tells, and how good they are."""

from functools import partial

from fairvision.results.entries.groups import NEEDS_GROUPS
from fairvision.results.metric import Metric, Place
from fairvision.results.sections import (
    CAPTION_CHANGES,
    CAPTION_QUALITY,
    CAPTIONED_PERSON,
    CAPTIONED_REST,
)

_NEEDS_NAMED = "needs captions that name a group"

_named = partial(Metric, undefined=_NEEDS_NAMED)

_lic = partial(Metric, undefined=NEEDS_GROUPS, keys="attribute")


def _quality(name: str, title: str, meaning: str, *places: Place) -> tuple[Metric, Metric]:
    """Return a measure of nearness to people's captions, and its gap between groups."""
    return (
        Metric(
            name=name,
            unit="score",
            better="higher",
            title=title,
            meaning=meaning,
            undefined="needs captions that people wrote of these pictures",
            keys="attribute; +group",
            places=(Place(CAPTION_QUALITY), *places),
        ),
        Metric(
            name=f"{name}_gap",
            unit="difference",
            better="lower",
            title=f"{title} gap",
            meaning=f"{title} of the group that fares best minus that of the worst",
            undefined=NEEDS_GROUPS,
            keys="attribute",
            places=(Place(CAPTION_QUALITY),),
        ),
    )


METRICS = (
    Metric(
        name="error_gap",
        unit="difference",
        better="lower",
        title="Error gap",
        meaning="error of the group that fares worst minus that of the best",
        undefined=NEEDS_GROUPS,
        keys="attribute",
        places=(Place(CAPTIONED_PERSON),),
    ),
    _named(
        name="accuracy_when_named",
        unit="fraction",
        better="higher",
        title="Right when named",
        meaning="share right of the captions that name one group",
        keys="attribute; +group",
        places=(Place(CAPTIONED_PERSON),),
    ),
    Metric(
        name="unnamed",
        unit="fraction",
        title="Names nobody",
        meaning="share of the captions that name no group, or several",
        keys="attribute",
        places=(Place(CAPTIONED_PERSON),),
    ),
    Metric(
        name="outcomes",
        unit="fraction",
        title="Outcomes",
        meaning="share of the captions of a group that are right, wrong, or name no group or "
        "several",
        keys="attribute, group, label = correct, incorrect, other",
        rows="pairs",
    ),
    _named(
        name="ratio",
        unit="ratio",
        title="Ratio",
        meaning="captions that name the first group, for each that names the second",
        keys="attribute (two groups)",
        places=(Place(CAPTIONED_PERSON),),
    ),
    _named(
        name="ratio_difference",
        unit="difference",
        better="zero",
        title="Δ ratio",
        meaning="the same ratio of the annotations, minus this one",
        noun="ratio difference",
        keys="attribute (two groups)",
        places=(Place(CAPTIONED_PERSON), Place(CAPTION_CHANGES, 1)),
    ),
    Metric(
        name="outcome_divergence",
        unit="divergence",
        better="lower",
        title="Outcome divergence",
        meaning="how far the groups’ shares of right, wrong and other are apart; never quite 0",
        undefined=NEEDS_GROUPS,
        noun="outcome divergence",
        keys="attribute",
        places=(Place(CAPTIONED_PERSON), Place(CAPTION_CHANGES)),
    ),
    _lic(
        name="lic_model",
        unit="score",
        better="lower",
        title="LIC_M",
        meaning="how well all other words tell {attribute}",
        places=(Place(CAPTIONED_REST), Place(CAPTION_CHANGES, 3)),
    ),
    _lic(
        name="lic_human",
        unit="score",
        title="LIC_D",
        meaning="the same of captions that people wrote",
        places=(Place(CAPTIONED_REST),),
    ),
    _lic(
        name="lic",
        unit="difference",
        better="lower",
        title="LIC",
        meaning="LIC_M − LIC_D; above 0 tells more than people do",
        places=(Place(CAPTIONED_REST), Place(CAPTION_CHANGES, 2)),
    ),
    *_quality(
        "bleu", "BLEU-4", "runs of one to four words that people’s captions have too; 1 at best"
    ),
    *_quality(
        "cider",
        "CIDEr",
        "likeness to people’s captions in which rare words count more; 10 at best",
        Place(CAPTION_CHANGES, 4),
    ),
    *_quality(
        "rouge_l",
        "ROUGE-L",
        "longest sequence of words that is in people’s captions too; 1 at best",
    ),
)
