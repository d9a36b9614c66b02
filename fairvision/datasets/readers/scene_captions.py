"""What may be said of a drawn scene: who is there, where, and beside what, in several wordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

NAMED, UNNAMED = 4, 1
"""How many captions of a scene name the group of the person, and how many do not."""


@dataclass(frozen=True)
class Person:
    """How captions speak of a person.

    Attributes
    ----------
    names : what the person may be called, of which each tells the group
    their : the possessive
    """

    names: tuple[str, ...]
    their: str = "their"


PEOPLE = {
    "female": Person(("a woman", "a lady", "a girl"), "her"),
    "male": Person(("a man", "a guy", "a boy"), "his"),
}
"""People by gender, in words that `metrics.caption_genders` knows."""
_ANYBODY = Person(("a person", "somebody", "someone"))

_PLACES = {
    "desk": (("at a desk", "in an office"), ("a laptop", "a window")),
    "kitchen": (("in a kitchen", "in the kitchen"), ("an oven", "a pot")),
    "beach": (("on a beach", "at the beach"), ("a parasol", "the sea")),
    "slope": (("on a snowy slope", "on a slope in the snow"), ("a snowboard", "two fir trees")),
    "street": (("in a street", "on the street"), ("a car", "a row of houses")),
    "garden": (("in a garden", "in the garden"), ("an apple tree", "a fence")),
    "library": (("in a library", "in the library"), ("shelves of books", "many books")),
    "pitch": (("on a football pitch", "on the pitch"), ("a goal", "a ball")),
    "bedroom": (("in a bedroom", "in the bedroom"), ("a bed", "a picture on the wall")),
    "desert": (("in a desert", "in the desert"), ("a cactus", "dunes")),
    "harbour": (("in a harbour", "at the harbour"), ("a sailing boat", "the water")),
    "camp": (("at a camp", "at the camp in the night"), ("a tent", "a fire")),
}
_WORDINGS = (
    "{who} {where}",
    "{who} stands {where} near {thing}",
    "{who} poses for {their} picture {where}",
    "there is {who} {where}, next to {thing}",
    "a picture of {who} {where} with {thing}",
    "{thing} and {who} {where}",
)


def in_shirt(pattern: str) -> Person:
    """Return how captions speak of a person whose shirt has a pattern."""
    return Person(tuple(f"{name} in a {pattern} shirt" for name in _ANYBODY.names))


def of_group(group: str) -> Person:
    """Return how captions speak of a person of a group that has a name and nothing else."""
    return Person(tuple(f"{name} of the {group} group" for name in _ANYBODY.names))


def caption_scene(
    person: Person, place: str, seed: str, *, wearing: str = "", things: Sequence[str] = ()
) -> list[str]:
    """Return captions of a scene, of which all name the place and all but the last the group.

    Scenes of one seed that differ in the person or the place have the same wordings.

    Parameters
    ----------
    person : how to speak of who is there
    place : one of `scene_drawing.CONTEXTS`
    seed : of the wordings
    wearing : what the person wears, "" for nothing worth saying
    things : what is there besides the objects of the place

    Examples
    --------
    >>> for caption in caption_scene(PEOPLE["female"], "desk", "0/000003"):
    ...     print(caption)
    A lady at a desk.
    A laptop and a lady in an office.
    A woman stands at a desk near a laptop.
    A picture of a lady at a desk with a laptop.
    Someone poses for their picture in an office.
    """
    random = Random(f"{seed}/captions")
    wordings = random.sample(_WORDINGS, NAMED + UNNAMED)
    where, beside = _PLACES[place]
    captions = []
    for position, wording in enumerate(wordings):
        who = person if position < NAMED else _ANYBODY
        name = who.names[random.randrange(len(who.names))]
        sentence = wording.format(
            who=f"{name} with {wearing}" if wearing else name,
            their=who.their,
            where=where[random.randrange(len(where))],
            thing=random.choice([*beside, *things]),
        )
        captions.append(f"{sentence[0].upper()}{sentence[1:]}.")
    return captions
