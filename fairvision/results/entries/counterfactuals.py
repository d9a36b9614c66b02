"""Whether answers are consistent where an image is there again with one thing changed."""

from fairvision.results.metric import Metric, Place
from fairvision.results.sections import CHANGES, COUNTERFACTUALS, TASK

_KEYS = "attribute; attribute+group; task; attribute+task+group; +label = what was changed"

METRICS = (
    Metric(
        name="counterfactual_flips",
        unit="fraction",
        better="lower",
        title="Answers on {subject} that turn with something else",
        meaning="share of counterfactuals with the same {subject} that are answered otherwise than "
        "their original, which is answered right; 0 = nothing else matters",
        undefined="needs counterfactuals with the same {subject}, of an original answered right",
        noun="how often answers turn with something else",
        keys=_KEYS,
        definition="share of counterfactuals whose truth is that of the original, which is "
        "answered right, with another answer ([counterfactuals.md](counterfactuals.md))",
        places=(Place(COUNTERFACTUALS), Place(TASK), Place(CHANGES, 4)),
    ),
    Metric(
        name="counterfactual_misses",
        unit="fraction",
        better="lower",
        title="Answers that stay when {subject} is another",
        meaning="share of counterfactuals with another {subject} that are answered like their "
        "original, which is answered right; 0 = answers follow the {subject}",
        undefined="needs counterfactuals with another {subject}, of an original answered right",
        noun="how often answers stay when they should not",
        keys=_KEYS,
        definition="share of counterfactuals whose truth is another than that of the original, "
        "which is answered right, with the same answer",
        places=(Place(COUNTERFACTUALS), Place(TASK), Place(CHANGES, 4)),
    ),
)
