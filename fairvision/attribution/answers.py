"""From whatever a network answers to one score per image, and back to gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fairvision.errors import InputError, shown

NOT_REACHED = (
    "gradients do not reach the picture: the network runs without them (no_grad, detach, numpy), "
    "or its answer is made of whole numbers (argmax, rounding) or does not depend on the picture; "
    "take that away, or use occlusion or feature_ablation, which need no gradients"
)
_WITHOUT_GRADIENTS = ("nference tensor", "Can't call numpy() on Tensor that requires grad")


def ask(network: nn.Module, images: Tensor) -> Any:
    """Return what a network answers; `InputError` where it breaks because gradients are taken."""
    try:
        return network(images)
    except RuntimeError as error:
        if any(words in str(error) for words in _WITHOUT_GRADIENTS):
            raise InputError(NOT_REACHED) from None
        raise


def heads_of(answer: Any) -> dict[str, Any]:
    """Return what a network answers by the name of its head; "" where there is one tensor.

    The heads of a tuple are numbered, unless it names its fields.

    >>> list(heads_of((torch.zeros(1), torch.zeros(1))))
    ['0', '1']
    """
    if isinstance(answer, Tensor):
        return {"": answer}
    if isinstance(answer, Mapping):
        return {str(name): value for name, value in answer.items()}
    if isinstance(answer, tuple | list):
        names = getattr(answer, "_fields", range(len(answer)))
        return {str(name): value for name, value in zip(names, answer)}
    if isinstance(logits := getattr(answer, "logits", None), Tensor):
        return {"logits": logits}
    return {"": answer}


def logits_of(answer: Any, head: str | None, images: Tensor) -> Tensor:
    """Return the logits (n, classes) of a head from all that a network answered for images.

    Of several heads one must be named, unless one is called "logits", as Hugging Face's are.
    """
    heads = heads_of(answer)
    if "" in heads and head is not None:
        raise InputError(f"the network has no head {head!r}: it answers with one tensor")
    if head is None:
        head = next(iter(heads)) if len(heads) == 1 else "logits"
        if head not in heads:
            named = ", ".join(heads) or "none"
            raise InputError(f"say which head is explained: one of {named}")
    if head not in heads:
        raise InputError(f"the network has no head {head!r}; it has {', '.join(heads)}")
    logits = heads[head]
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(images):
        given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(f"the network must answer with logits (pictures, classes), not {given}")
    if logits.is_complex():
        raise InputError(f"the network must answer with real numbers, not {logits.dtype}")
    return logits


def chosen(logits: Tensor, targets: Tensor) -> Tensor:
    """Return one logit per image, (n,) in float32 or better."""
    if len(targets) and int(targets.max()) >= logits.shape[1]:
        raise InputError(
            f"target {shown(int(targets.max()))}: the head has {logits.shape[1]} classes"
        )
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return logits.gather(1, targets[:, None])[:, 0]


def gradient(scores: Tensor, of: Tensor, *, again: bool = False) -> Tensor:
    """Return the gradient of the sum of some scores; `InputError` where nothing connects them.

    `again` keeps what further gradients of the same answer need.
    """
    derivative = None
    if scores.requires_grad:
        (derivative,) = torch.autograd.grad(scores.sum(), of, retain_graph=again, allow_unused=True)
    if derivative is None:
        raise InputError(NOT_REACHED)
    return derivative
