"""What the answers of a task rest on: its objects, or the person."""

from fairvision.results.entries.evidence import NEEDS_MASK
from fairvision.results.entries.groups import NEEDS_GROUPS
from fairvision.results.metric import Metric, Place
from fairvision.results.sections import TASK, TOGETHER

METRICS = (
    Metric(
        name="person_effect",
        unit="difference",
        title="What seeing the person adds to the true {task}",
        meaning="its probability in the whole picture minus that with the person hidden; 0 = the "
        "person does not matter",
        undefined=NEEDS_MASK,
        keys="task; attribute+task+group; +label",
        definition="by how much the visible person raises the probability of the true label, or "
        "of a label whoever is shown: the whole picture minus that with the person hidden "
        "([task-evidence.md](task-evidence.md))",
        places=(Place(TASK),),
    ),
    Metric(
        name="person_effect_gap",
        unit="difference",
        better="lower",
        title="What seeing the person adds to {task}, gap between {attribute}",
        meaning="largest minus smallest group, among pictures that show the same: how differently "
        "people of two groups move the probability of the true {task}; 0 = alike",
        undefined=NEEDS_GROUPS,
        keys="attribute, task; +label",
        definition="largest minus smallest group of `person_effect`, each group weighted to show "
        "the true labels as often as all pictures do: the counterfactual of A->T",
        places=(Place(TOGETHER, 2),),
    ),
    Metric(
        name="hidden_task_accuracy",
        unit="fraction",
        title="Accuracy on {task} with the person hidden",
        meaning="what falls from the accuracy was read off the person, or stood behind the mask",
        undefined=NEEDS_MASK,
        keys="task; attribute+task+group",
        definition="accuracy on the task with the person hidden; what falls from the accuracy was "
        "read off the person",
        places=(Place(TASK),),
    ),
    Metric(
        name="person_task_accuracy",
        unit="fraction",
        title="Accuracy on {task} with only the person visible",
        meaning="what is right without the objects and their surroundings is told by the person",
        undefined=NEEDS_MASK,
        keys="task; attribute+task+group",
        definition="accuracy on the task with only the person visible: what is right then is told "
        "by the person",
        places=(Place(TASK),),
    ),
)
