"""The project's own metrics: a file per family. Their order is that of rows in a section."""

from fairvision.results.entries import (
    amplification,
    captions,
    causes,
    counterfactuals,
    evidence,
    groups,
    leaning,
    sanity,
    scores,
    tasks,
)

FAMILIES = (
    *(groups, causes, evidence, counterfactuals, tasks, scores),
    *(amplification, captions, leaning, sanity),
)
METRICS = tuple(metric for family in FAMILIES for metric in family.METRICS)
