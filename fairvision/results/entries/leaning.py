"""What models lean on: how answers change when a thing is hidden."""

from functools import partial

from fairvision.results.metric import Metric

_THING = "attribute, task, label = thing"
_NEEDS_CONTROL = "needs pictures that show it, with an equal area elsewhere"

_leaning = partial(Metric, undefined=_NEEDS_CONTROL)

METRICS = (
    _leaning(
        name="leaning",
        unit="difference",
        title="Leaning",
        meaning="by how much seeing a thing raises the probability of the true group, beyond an "
        "equal area elsewhere",
        keys=f"{_THING}; +group",
        definition="with `--leaning`: by how much seeing a thing raises the probability of the "
        "true group, beyond an equal area elsewhere ([leaning.md](leaning.md))",
    ),
    _leaning(
        name="leaning_change",
        unit="difference",
        title="Leaning, thing hidden",
        meaning="what hiding the thing does to the probability of the true group",
        keys=f"{_THING}; +group",
    ),
    _leaning(
        name="leaning_control",
        unit="difference",
        title="Leaning, elsewhere hidden",
        meaning="what hiding an equal area elsewhere does to the probability of the true group",
        keys=f"{_THING}; +group",
    ),
    _leaning(
        name="leaning_toward",
        unit="difference",
        title="Leaning toward a group",
        meaning="by how much seeing a thing raises the probability of a group, whoever is shown",
        keys="attribute, task, group, label = thing",
    ),
    _leaning(
        name="leaning_answer",
        unit="difference",
        title="Leaning of the answer",
        meaning="by how much seeing a thing raises the probability of the answer",
        keys=_THING,
    ),
    _leaning(
        name="leaning_flips",
        unit="fraction",
        title="Answers that change",
        meaning="share of answers that change when the thing is hidden",
        keys=_THING,
    ),
    _leaning(
        name="leaning_control_flips",
        unit="fraction",
        title="Answers that change, elsewhere hidden",
        meaning="share of answers that change when an equal area elsewhere is hidden",
        keys=_THING,
    ),
)
