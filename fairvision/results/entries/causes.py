"""What answers do when the surroundings of people are exchanged for those of others."""

from functools import partial

from fairvision.metrics.causes import REASONS
from fairvision.results.entries.evidence import NEEDS_MASK
from fairvision.results.entries.groups import NEEDS_GROUPS
from fairvision.results.metric import LeaderboardEntry, Metric, Place
from fairvision.results.sections import BOARD_CAUSES, CAUSE_CONTROLS, CAUSES, CHANGES

NEEDS_SWAPS = "needs masks, and pictures of other groups to take surroundings from"
_KEYS = "attribute; +group"

_by_group = partial(Metric, undefined=NEEDS_SWAPS, keys=_KEYS)

METRICS = (
    _by_group(
        name="holds",
        unit="fraction",
        better="higher",
        title="Right answers that hold elsewhere",
        meaning="how often a right answer stays when the surroundings are exchanged for those of "
        "other groups",
        noun="how often right answers hold when the surroundings are exchanged",
        definition="mean over the right answers, of pictures with a mask, of the share of swaps "
        "with surroundings of other groups in which the answer stays ([swaps.md](swaps.md))",
        places=(Place(CAUSES), Place(CHANGES, 2)),
        leaderboard=LeaderboardEntry(BOARD_CAUSES),
    ),
    Metric(
        name="holds_gap",
        unit="difference",
        better="lower",
        title="Right answers that hold, gap between groups",
        meaning="group whose right answers hold most often minus the one where least; 0 = alike",
        undefined=NEEDS_GROUPS,
        keys="attribute",
        definition="largest minus smallest group",
        places=(Place(CAUSES),),
    ),
    Metric(
        name="reasons",
        unit="fraction",
        title="Right for the right reasons",
        meaning="share of pictures answered right whose answer holds when the surroundings are "
        "exchanged",
        undefined=NEEDS_SWAPS,
        keys="attribute, (group), label = reason",
        definition="share of pictures with a mask that are right or wrong for each of four "
        "reasons by cause ([swaps.md](swaps.md))",
        rows="pairs",
        leaderboard=LeaderboardEntry(BOARD_CAUSES, label=REASONS[0]),
        better="higher",
    ),
    _by_group(
        name="swapped_accuracy",
        unit="fraction",
        better="higher",
        title="Accuracy in surroundings of other groups",
        meaning="how often people are named right in front of surroundings of other groups",
        places=(Place(CAUSES),),
    ),
    Metric(
        name="swapped_recall",
        unit="fraction",
        better="higher",
        title="Groups told apart in surroundings of other groups",
        meaning="the same, with each group counting alike: answers that do not depend on the "
        "picture reach one over the number of groups",
        undefined=NEEDS_SWAPS,
        noun="how well groups are told apart in surroundings of other groups",
        keys="attribute",
        definition="mean over the known groups of `swapped_accuracy`",
        places=(Place(CAUSES), Place(CHANGES, 2)),
    ),
    _by_group(
        name="same_swapped_accuracy",
        unit="fraction",
        better="higher",
        title="Accuracy in other surroundings of their group",
        meaning="how often people are named right in front of surroundings of others of the same "
        "group",
        places=(Place(CAUSES),),
    ),
    _by_group(
        name="background_gap",
        unit="difference",
        better="zero",
        title="Background gap",
        meaning="accuracy in surroundings of the same group minus that in those of other groups; "
        "0 = the surroundings do not matter",
        noun="the background gap",
        definition="`same_swapped_accuracy` minus `swapped_accuracy`, of the same pictures",
        places=(Place(CAUSES), Place(CHANGES, 2)),
        leaderboard=LeaderboardEntry(BOARD_CAUSES),
    ),
    Metric(
        name="pasted_accuracy",
        unit="fraction",
        title="Accuracy after pasting back",
        meaning="people cut out and pasted back into their own, filled surroundings: what falls "
        "from the accuracy here is due to pasting alone",
        undefined=NEEDS_MASK,
        keys=_KEYS,
        places=(Place(CAUSE_CONTROLS),),
    ),
    _by_group(
        name="others_here",
        unit="probability",
        title="Others in these surroundings",
        meaning="how probable the group that belongs here is made for people of other groups who "
        "are shown here; 0 = the surroundings name nobody",
        places=(Place(CAUSE_CONTROLS),),
    ),
)
