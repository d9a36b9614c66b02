"""What is explained: a network and a head of it, from images to one score each and its gradient.

The network is left as it was; chance is drawn per image and sample, whatever the batches are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fairvision.errors import InputError, shown

PRECISIONS = {"32": None, "bf16": torch.bfloat16, "16": torch.float16}
TUNNELS = ("smoothgrad", "smoothgrad_sq", "vargrad")
NOT_REACHED = (
    "gradients do not reach the picture: the network runs without them (no_grad, detach, numpy), "
    "or its answer is made of whole numbers (argmax, rounding) or does not depend on the picture; "
    "take that away, or use occlusion, feature_ablation or rise, which need no gradients"
)
_WITHOUT_GRADIENTS = ("nference tensor", "Can't call numpy() on Tensor that requires grad")
_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)


@dataclass(frozen=True)
class Options:
    """The options of `fairvision.attribution.attribute`, where each is explained."""

    head: str | None = None
    layer: str | None = None
    baseline: Tensor | float | None = None
    steps: int = 50
    tolerance: float | None = None
    noise_tunnel: str | None = None
    samples: int = 20
    noise: float | None = None
    window: int | None = None
    stride: int | None = None
    masks: int = 1000
    segments: Tensor | None = None
    seed: int = 0
    precision: str = "32"
    batch_size: int = 32

    def __post_init__(self) -> None:
        for name in ("steps", "samples", "window", "stride", "masks", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")
        for name in ("tolerance", "noise", "seed"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise InputError(f"{name} must not be negative, but is {value}")
        if self.precision not in PRECISIONS:
            raise InputError(f"precision {self.precision!r}: choose from {', '.join(PRECISIONS)}")
        tunnel = self.noise_tunnel
        if tunnel is not None and tunnel not in TUNNELS:
            raise InputError(f"noise_tunnel {tunnel!r}: choose from {', '.join(TUNNELS)}")


@dataclass(frozen=True)
class Explained:
    """A network with the options of its explanation: from images to the logits in question."""

    network: nn.Module
    options: Options

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits (n, classes) of the head, as the network gives them."""
        return head_logits(self.output(images), self.options.head, images)

    def output(self, images: Tensor) -> Any:
        """Return what the network gives, of all heads."""
        with self._autocast(images.device):
            return run_network(self.network, images)

    def scores(self, images: Tensor, targets: Tensor) -> Tensor:
        """Return the logit of each image's target, (n,) in float32 or better."""
        return target_scores(self.logits(images), targets)

    def gradients(self, images: Tensor, targets: Tensor) -> Tensor:
        """Return the gradient of each image's target logit, shaped as the images."""
        images = images.detach().requires_grad_()
        # The network gets a copy, as its first layer may work in place.
        return gradient(self.scores(images.clone(), targets), images)

    def _autocast(self, device: torch.device) -> AbstractContextManager[None]:
        """Return the context in which the network computes in the chosen precision."""
        dtype = PRECISIONS[self.options.precision]
        return nullcontext() if dtype is None else torch.autocast(device.type, dtype)


def targets_of(target: Tensor | Sequence[int] | int, images: Tensor) -> Tensor:
    """Return one class per image, (n,) int64 beside the images, from what was given for them.

    >>> targets_of(1, torch.zeros(2, 3, 4, 4))
    tensor([1, 1])
    """
    try:
        targets = torch.as_tensor(target, device=images.device)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"targets must be positions of classes, not {target!r}") from None
    if targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool:
        raise InputError(f"targets must be whole numbers, not {targets.dtype}")
    if targets.ndim and tuple(targets.shape) != (len(images),):
        raise InputError(
            f"targets have shape {tuple(targets.shape)}; give one for all, or one for each of "
            f"{len(images)} pictures"
        )
    return targets.long().expand(len(images))


def plain_images(images: Tensor, baseline: Tensor | float | None) -> Tensor:
    """Return what stands for "nothing to see", one per image, (n, 3, height, width).

    By default each image's mean colour. A black image would be blind to what is dark
    (Sturmfels, Lundberg & Lee, Distill 2020).
    """
    if baseline is None:
        return images.mean(dim=(2, 3), keepdim=True).expand_as(images)
    plain = torch.as_tensor(baseline, dtype=images.dtype, device=images.device)
    try:
        return plain.expand_as(images)
    except RuntimeError:
        raise InputError(
            f"the baseline has shape {tuple(plain.shape)}, which does not fit pictures of shape "
            f"{tuple(images.shape)}"
        ) from None


def plain_pool(images: Tensor, baseline: Tensor | float | None, method: str) -> Tensor | None:
    """Return the plain images that all images share, (any number, 3, height, width), or None."""
    if not isinstance(baseline, Tensor) or baseline.ndim != 4:
        return None
    if baseline.shape[1:] != images.shape[1:] or len(baseline) == 0:
        raise InputError(
            f"baselines have shape {tuple(baseline.shape)}; {method} takes (any number, "
            f"{', '.join(map(str, images.shape[1:]))})"
        )
    return baseline.to(images)


def run_network(network: nn.Module, images: Tensor) -> Any:
    """Return a network's output; `InputError` where it breaks because gradients are taken."""
    try:
        return network(images)
    except RuntimeError as error:
        if any(words in str(error) for words in _WITHOUT_GRADIENTS):
            raise InputError(NOT_REACHED) from None
        raise


def outputs_by_head(output: Any) -> Mapping[str, Any]:
    """Return a network's output by the name of its head; "" where it is one tensor.

    The heads of a tuple are numbered, unless it names its fields.

    >>> list(outputs_by_head((torch.zeros(1), torch.zeros(1))))
    ['0', '1']
    """
    if isinstance(output, Mapping):
        return {str(name): value for name, value in output.items()}
    if isinstance(output, tuple | list):
        names = getattr(output, "_fields", range(len(output)))
        return {str(name): value for name, value in zip(names, output)}
    if isinstance(logits := getattr(output, "logits", None), Tensor):
        return {"logits": logits}
    return {"": output}


def head_logits(output: Any, head: str | None, images: Tensor) -> Tensor:
    """Return the logits (n, classes) of a head from a network's output for n images.

    Of several heads one must be named, unless one is called "logits", as Hugging Face's are.
    """
    heads = outputs_by_head(output)
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


def target_scores(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the logit of each image's target, (n,) in float32 or better."""
    if len(targets) and int(targets.max()) >= logits.shape[1]:
        raise InputError(
            f"target {shown(int(targets.max()))}: the head has {logits.shape[1]} classes"
        )
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return logits.gather(1, targets[:, None])[:, 0]


def gradient(scores: Tensor, inputs: Tensor, *, retain: bool = False) -> Tensor:
    """Return the gradient of the sum of scores; `InputError` where nothing connects them to inputs.

    `retain` keeps what further gradients of the same output need.
    """
    derivative = None
    if scores.requires_grad:
        (derivative,) = torch.autograd.grad(
            scores.sum(), inputs, retain_graph=retain, allow_unused=True
        )
    if derivative is None:
        raise InputError(NOT_REACHED)
    return derivative


def generator(seed: int, identity: int, sample: int) -> torch.Generator:
    """Return the source of chance of one sample of one image.

    >>> torch.rand(1, generator=generator(0, 3, 1)) == torch.rand(1, generator=generator(0, 3, 1))
    tensor([True])
    """
    state = np.random.SeedSequence([seed, identity, sample]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


@contextmanager
def undisturbed(network: nn.Module, *, frozen: bool = False) -> Iterator[None]:
    """Put a network into evaluation mode, and afterwards everything back as it was before.

    The mode of each submodule, the hooks, and which parameters take gradients, also after an error.

    Parameters
    ----------
    network : any network
    frozen : no parameter takes gradients meanwhile, which saves the memory that they would need;
        gradients of images and of activations are not affected
    """
    modules = list(network.modules())
    modes = [module.training for module in modules]
    hooks = [{name: getattr(module, name).copy() for name in _HOOKS} for module in modules]
    taking = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
    network.eval()
    try:
        if frozen:
            for parameter, _ in taking:
                parameter.requires_grad_(False)
        yield
    finally:
        for parameter, before in taking:
            parameter.requires_grad_(before)
        for module, training, hooks_before in zip(modules, modes, hooks):
            module.training = training
            for name, kept in hooks_before.items():
                now = getattr(module, name)
                if now != kept:
                    now.clear()
                    now.update(kept)
