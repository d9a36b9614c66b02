"""Using a network without leaving a trace in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)


@contextmanager
def undisturbed(network: nn.Module, *, frozen: bool = False) -> Iterator[None]:
    """Put a network into evaluation mode, and afterwards everything back as it was.

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
        for module, training, own in zip(modules, modes, hooks):
            module.training = training
            for name, kept in own.items():
                now = getattr(module, name)
                if now != kept:
                    now.clear()
                    now.update(kept)
