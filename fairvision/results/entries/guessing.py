"""What attackers guess of the group from labels, and of either side from the other."""

from fairvision.results.entries.amplification import NEEDS_COUNTS
from fairvision.results.entries.groups import NEEDS_GROUPS
from fairvision.results.metric import Metric, Place
from fairvision.results.sections import MORE_TOGETHER

METRICS = (
    Metric(
        name="leakage_amplification",
        unit="difference",
        better="zero",
        title="Leakage amplification",
        meaning="predictions minus truth; above 0, predictions give the group away more",
        undefined=NEEDS_GROUPS,
        keys="attribute, task; +group",
        definition="`model_leakage` minus `perturbed_leakage`",
        places=(Place(MORE_TOGETHER),),
    ),
    Metric(
        name="model_leakage",
        unit="fraction",
        title="Leakage of predictions",
        meaning="how often an attacker names the group from the predicted {task}",
        undefined=NEEDS_GROUPS,
        keys="attribute, task; +group",
        definition="how often attackers tell the group from predicted labels",
        places=(Place(MORE_TOGETHER),),
    ),
    Metric(
        name="perturbed_leakage",
        unit="fraction",
        title="Leakage of the truth",
        meaning="the same from true {task} with as many errors as the model makes, at random",
        undefined=NEEDS_GROUPS,
        keys="attribute, task; +group",
        definition="the same from true labels with as many errors",
        places=(Place(MORE_TOGETHER),),
    ),
    Metric(
        name="predictability T->A",
        unit="difference",
        better="zero",
        title="Predictability, {task} → {attribute}",
        meaning="above 0, predicted {attribute} can be guessed from {task} better than errors at "
        "random leave it",
        undefined=NEEDS_COUNTS,
        keys="attribute, task",
        definition="directional predictability amplification",
        places=(Place(MORE_TOGETHER),),
    ),
    Metric(
        name="predictability A->T",
        unit="difference",
        better="zero",
        title="Predictability, {attribute} → {task}",
        meaning="above 0, predicted {task} can be guessed from {attribute} better than errors at "
        "random leave them",
        undefined=NEEDS_COUNTS,
        keys="attribute, task (one label)",
        definition="directional predictability amplification",
        places=(Place(MORE_TOGETHER),),
    ),
)
