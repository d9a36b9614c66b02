"""Heads of a model from elsewhere: which of its outputs stand for which group or label."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fairvision.core import shapes
from fairvision.errors import InputError, check_file, reading, shown
from fairvision.schema import Schema, Task, parse_schema

Output = int | str
_LEAST = 1e-30


@dataclass(frozen=True)
class Head:
    """An attribute or task that a model predicts.

    Attributes
    ----------
    labels : its groups or labels
    outputs : for each label the outputs of the model that stand for it, by position or by the
        model's name for them; outputs that no label has are ignored. None: one for each label, by
        the model's names where these are the labels, else in their order.
    many : several labels may hold for one image
    probabilities : whether the model gives probabilities; None: it gives logits, unless its answers
        sum to 1

    Examples
    --------
    >>> Head(("cat", "dog"), outputs=((0, 5), (1,)))
    Head(labels=('cat', 'dog'), outputs=((0, 5), (1,)), many=False, probabilities=None)
    """

    labels: tuple[str, ...]
    outputs: tuple[tuple[Output, ...], ...] | None = None
    many: bool = False
    probabilities: bool | None = None


Heads = Mapping[str, Head]


def read_heads(
    heads: Mapping[str, Sequence[str] | Head], many: Collection[str] = ()
) -> dict[str, Head]:
    """Return heads from what is given for them: their labels, or `Head` for more.

    Parameters
    ----------
    heads : labels of each attribute and task
    many : the tasks in which several labels may hold for one image

    Raises
    ------
    InputError
        If there are none, names are repeated or empty, or a name of `many` is no head.

    Examples
    --------
    >>> read_heads({"gender": ["female", "male"]})["gender"].labels
    ('female', 'male')
    """
    if not isinstance(heads, Mapping) or not heads:
        raise InputError('say what the model predicts: heads={"gender": ["female", "male"]}')
    if isinstance(many, str):
        many = (many,)
    checked = {}
    for name, given in heads.items():
        if isinstance(given, str) or not isinstance(given, (Head, Sequence)):
            raise InputError(f"head {name!r} needs a list of its labels, not {shown(given)}")
        head = given if isinstance(given, Head) else Head(tuple(map(str, given)))
        head = replace(head, labels=tuple(head.labels), many=head.many or name in many)
        if head.outputs is not None and len(head.outputs) != len(head.labels):
            raise InputError(
                f"head {name!r} has {len(head.labels)} labels but outputs for {len(head.outputs)}: "
                "give a list of outputs for each label"
            )
        checked[str(name)] = head
    if strangers := [name for name in many if name not in checked]:
        raise InputError(f"many names {strangers[0]!r}, which is none of {', '.join(checked)}")
    schema_of(checked)
    return checked


def read_heads_file(path: str | Path) -> dict[str, Head]:
    """Return the heads that a TOML file describes.

    A table per head: `labels = ["cat", "dog"]`, and where they are needed `outputs = [[0, 5], [1]]`
    (positions, or the model's names), `many = true`, `probabilities = true`.

    Raises
    ------
    InputError
        One line that names the file and what is wrong in it.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} is missing: heads are described in a TOML file, a table for each")
    check_file(path, "a TOML file")
    with reading(path, "TOML"):
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    try:
        _SHAPE(content, "")
        return read_heads({name: _head_of(table) for name, table in content.items()})
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def _output(value: Any, location: str) -> None:
    """Take the position or the name of an output."""
    if type(value) not in (int, str):
        raise ValueError(f"{location} must be the position or name of an output, not {value!r}")


_SHAPE = shapes.named(
    shapes.only(
        {"labels": shapes.each(shapes.text)},
        {
            "outputs": shapes.each(shapes.each(_output)),
            "many": shapes.truth,
            "probabilities": shapes.truth,
        },
    )
)


def _head_of(table: Mapping[str, Any]) -> Head:
    """Return a head as a checked table describes it."""
    outputs = table.get("outputs")
    return Head(
        labels=tuple(table["labels"]),
        outputs=None if outputs is None else tuple(map(tuple, outputs)),
        many=table.get("many", False),
        probabilities=table.get("probabilities"),
    )


def schema_of(heads: Heads, like: Schema | None = None) -> Schema:
    """Return what heads predict; which of them are attributes a dataset may say.

    A head that the dataset does not have is an attribute unless many labels may hold.

    Examples
    --------
    >>> schema_of(read_heads({"sport": ["golf", "judo"]}), Schema(tasks={"sport": Task(("golf",))}))
    Schema(attributes={}, tasks={'sport': Task(labels=('golf', 'judo'), many=False)})
    """
    like = like or Schema()
    attributes = {
        name: head.labels
        for name, head in heads.items()
        if name not in like.tasks and not head.many
    }
    tasks = {
        name: Task(head.labels, head.many) for name, head in heads.items() if name not in attributes
    }
    return parse_schema(Path("heads"), Schema(attributes, tasks).as_json())


def positions(
    head: str, about: Head, count: int, names: Sequence[str] | None, model: str
) -> tuple[tuple[int, ...], ...]:
    """Return for each label the positions of the model's outputs that stand for it.

    Parameters
    ----------
    head, about : name of the head, and what is known of it
    count : how many outputs there are
    names : what the model calls them, if it does
    model : what messages call the model

    Raises
    ------
    InputError
        If outputs and labels do not fit together: one line with both.

    Examples
    --------
    >>> positions("pet", Head(("dog", "cat")), 2, ["cat", "dog"], "the network")
    ((1,), (0,))
    >>> positions("pet", Head(("dog", "cat"), outputs=((0, "puppy"), (2,))), 4, None, "the network")
    Traceback (most recent call last):
    fairvision.errors.InputError: head 'pet' asks for the output 'puppy', but the network does not
    name its 4 outputs: give their positions
    """
    times = Counter(names or ())
    place = {name: i for i, name in enumerate(names or ()) if times[name] == 1}
    if about.outputs is None:
        by_name = set(about.labels) <= place.keys()
        if (by_name and len(about.labels) > 1) or (by_name and about.many):
            return tuple((place[label],) for label in about.labels)
        if count == len(about.labels) and (names is None or _are_generic(names)):
            return tuple((i,) for i in range(count))
        named = "" if names is None or _are_generic(names) else f" ({_few(names)})"
        raise InputError(
            f"{model} has {count} outputs{named}, but head {head!r} has {len(about.labels)} labels "
            f"({_few(about.labels)}): say which outputs stand for which label "
            "(fairvision.Head(…, outputs=…) in Python, outputs = [[0], [1]] in --heads FILE.toml)"
        )
    asked = {output for of_label in about.outputs for output in of_label}
    if twice := [output for output in asked if times[str(output)] > 1 and output not in place]:
        raise InputError(
            f"head {head!r} asks for the output {twice[0]!r}, but {model} has "
            f"{times[str(twice[0])]} of that name: give their positions"
        )
    columns = tuple(
        tuple(_position(head, output, count, place, model) for output in of_label)
        for of_label in about.outputs
    )
    flat = [position for of_label in columns for position in of_label]
    if not all(columns) or len(set(flat)) < len(flat):
        raise InputError(
            f"head {head!r}: each label needs outputs, and no output may stand for two labels"
        )
    return columns


def _position(head: str, output: Output, count: int, place: Mapping[str, int], model: str) -> int:
    """Return the position of an output."""
    if isinstance(output, str):
        if not place:
            raise InputError(
                f"head {head!r} asks for the output {output!r}, but {model} does not name its "
                f"{count} outputs: give their positions"
            )
        if output not in place:
            raise InputError(
                f"head {head!r} asks for the output {output!r}, which {model} does not have: its "
                f"outputs are {_few(list(place))}"
            )
        return place[output]
    if not 0 <= output < count:
        raise InputError(
            f"head {head!r} asks for output {output}, but {model} has {count} outputs, 0 to "
            f"{count - 1}"
        )
    return output


def _are_generic(names: Sequence[str]) -> bool:
    """Return whether outputs are only numbered, as LABEL_0 and LABEL_1."""
    return all(name in (f"LABEL_{i}", str(i)) for i, name in enumerate(names))


def _few(names: Sequence[str]) -> str:
    """Return the first six names, and "…" if there are more."""
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "")


def gathered(logits: Tensor, columns: Sequence[Sequence[int]], *, many: bool) -> Tensor:
    """Return the logits (n, labels) of labels from those of outputs (n, outputs).

    Probabilities of a label's outputs are summed, and those of all labels divided by their sum, so
    what is ignored takes no part. Where many labels may hold, one does if any of its outputs does.

    Examples
    --------
    >>> logits = torch.tensor([[0.25, 0.25, 0.25, 0.25]]).log()
    >>> gathered(logits, [[0, 1], [2]], many=False).softmax(dim=1)
    tensor([[0.6667, 0.3333]])
    """
    if [list(of_label) for of_label in columns] == [[i] for i in range(logits.shape[1])]:
        return logits
    parts = [logits[:, list(of_label)] for of_label in columns]
    if many:
        return torch.cat([part.amax(dim=1, keepdim=True) for part in parts], dim=1)
    return torch.cat([part.logsumexp(dim=1, keepdim=True) for part in parts], dim=1)


def as_logits(probabilities: Tensor, *, many: bool) -> Tensor:
    """Return logits that give these probabilities (n, labels) again."""
    if many:
        return probabilities.double().logit(1e-12).float()
    return probabilities.clamp(min=_LEAST).log()
