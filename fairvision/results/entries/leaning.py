"""What models lean on: how answers change when a thing is hidden."""

from fairvision.results.metric import Metric

_THING = "attribute, task, label = thing"
_NEEDS_CONTROL = "needs pictures that show it, with an equal area elsewhere"

METRICS = (
    Metric(
        name="leaning",
        unit="difference",
        title="Leaning",
        meaning="by how much seeing a thing raises the probability of the true group, beyond an "
        "equal area elsewhere",
        undefined=_NEEDS_CONTROL,
        keys=f"{_THING}; +group",
        definition="with `--leaning`: by how much seeing a thing raises the probability of the "
        "true group, beyond an equal area elsewhere ([leaning.md](leaning.md))",
    ),
    Metric(
        name="leaning_change",
        unit="difference",
        title="Leaning, thing hidden",
        meaning="what hiding the thing does to the probability of the true group",
        undefined=_NEEDS_CONTROL,
        keys=f"{_THING}; +group",
    ),
    Metric(
        name="leaning_control",
        unit="difference",
        title="Leaning, elsewhere hidden",
        meaning="what hiding an equal area elsewhere does to the probability of the true group",
        undefined=_NEEDS_CONTROL,
        keys=f"{_THING}; +group",
    ),
    Metric(
        name="leaning_toward",
        unit="difference",
        title="Leaning toward a group",
        meaning="by how much seeing a thing raises the probability of a group, whoever is shown",
        undefined=_NEEDS_CONTROL,
        keys="attribute, task, group, label = thing",
    ),
    Metric(
        name="leaning_answer",
        unit="difference",
        title="Leaning of the answer",
        meaning="by how much seeing a thing raises the probability of the answer",
        undefined=_NEEDS_CONTROL,
        keys=_THING,
    ),
    Metric(
        name="leaning_flips",
        unit="fraction",
        title="Answers that change",
        meaning="share of answers that change when the thing is hidden",
        undefined=_NEEDS_CONTROL,
        keys=_THING,
    ),
    Metric(
        name="leaning_control_flips",
        unit="fraction",
        title="Answers that change, elsewhere hidden",
        meaning="share of answers that change when an equal area elsewhere is hidden",
        undefined=_NEEDS_CONTROL,
        keys=_THING,
    ),
)
