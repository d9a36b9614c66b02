"""One backbone with a head per attribute and per task, some of which answer for every group."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, Self, overload

import torch
from torch import Tensor, nn

RULES = ("sum", "prior_shift")
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Domains:
    """The groups of a head.

    Attributes
    ----------
    attribute : whose groups they are
    groups : how many
    rule : "sum" of the groups' logits, or "prior_shift", see `DomainHead`
    """

    attribute: str
    groups: int
    rule: str


class DomainHead(nn.Module):
    """Logits of each class in each group (domain), from which those of the classes follow.

    Wang Z. et al., "Towards Fairness in Visual Recognition: Effective Strategies for Bias
    Mitigation", CVPR 2020 (arXiv 1911.11834), sections 4.3 and 4.4. No group is needed to answer:

    - "sum", domain-independent: argmax of the sum over groups d of s(y, d). We take the mean, which
      decides alike.
    - "prior_shift", domain-discriminative: the softmax over pairs (y, d), divided by how frequent
      the pair is in training and summed over d.

    Where many labels may hold, each label is a head of two classes.

    Parameters
    ----------
    width : number of features
    classes : number of classes
    domains : the groups, and how they are brought together
    many : several classes may hold for one image

    Examples
    --------
    >>> head = DomainHead(8, 3, Domains("colour", 2, "sum"))
    >>> features = torch.ones(4, 8)
    >>> head(features).shape, head.joint(features).shape
    (torch.Size([4, 3]), torch.Size([4, 2, 3]))
    """

    log_prior: Tensor

    def __init__(self, width: int, classes: int, domains: Domains, *, many: bool = False):
        super().__init__()
        self.domains, self.many = domains, many
        pairs = many and domains.rule == "prior_shift"
        self._shape = (domains.groups, classes, 2) if pairs else (domains.groups, classes)
        self.linear = nn.Linear(width, torch.Size(self._shape).numel())
        self.register_buffer("log_prior", torch.zeros(self._shape))

    def joint(self, features: Tensor) -> Tensor:
        """Return the logits in each group, from features (n, width).

        Returns
        -------
        (n, groups, classes); by "prior_shift" where many labels may hold (n, groups, classes, 2),
        absent and present
        """
        logits: Tensor = self.linear(features)
        return logits.view(len(logits), *self._shape)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (n, classes), whatever the group."""
        joint = self.joint(features)
        if self.domains.rule == "sum":
            return joint.mean(dim=1)
        shifted = (joint.float() - self.log_prior).logsumexp(dim=1)
        return shifted[..., 1] - shifted[..., 0] if self.many else shifted


class ImageNetwork(nn.Module):
    """A network of normalised images: a backbone, and what answers from its features.

    Parameters
    ----------
    backbone : module from (n, 3, height, width) to (n, width)
    width : number of features that it returns

    Attributes
    ----------
    mean, std : (3, 1, 1), which normalise the images; by default those of ImageNet
    frozen : modules that stay in evaluation mode while the others train, see `tune`
    auxiliary_heads : classifiers on earlier features, of networks that have them (Inception v3)
    auxiliary : their logits in the last forward, by head; empty in evaluation, where they are
        frozen, and for other networks
    """

    mean: Tensor
    std: Tensor
    auxiliary_heads: nn.ModuleList

    def __init__(self, backbone: nn.Module, width: int):
        super().__init__()
        self.backbone = backbone
        self.width = width
        self.frozen: list[nn.Module] = []
        self.auxiliary: dict[str, Tensor] = {}
        for name, values in (("mean", _IMAGENET_MEAN), ("std", _IMAGENET_STD)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def features(self, images: Tensor) -> Tensor:
        """Return the features (n, width) of images (n, 3, height, width) in [0, 1]."""
        # A mean and a deviation for each pixel of a row: of three numbers, kernels are slow on
        # channels-last images.
        row = torch.zeros_like(images[:1, :, :1])
        features: Tensor = self.backbone((images - (self.mean + row)).div_(self.std + row))
        return features

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, all but what is frozen."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self


class Network(ImageNetwork):
    """A classifier of images: normalisation, backbone, and linear heads.

    Heads start at zero, so all classes start equally likely.

    Parameters
    ----------
    backbone : module from (n, 3, height, width) to (n, width)
    width : number of features that it returns
    heads : number of classes of each head, by the name of its attribute or task
    many : heads in which several classes may hold for one image (sigmoid instead of softmax)
    domains : heads that answer for every group by itself, and how they are brought together

    """

    def __init__(
        self,
        backbone: nn.Module,
        width: int,
        heads: Mapping[str, int],
        many: Collection[str] = (),
        domains: Mapping[str, Domains] | None = None,
    ):
        super().__init__(backbone, width)
        self.head_names = tuple(heads)
        self.many = frozenset(many)
        domains = domains or {}
        # Heads are kept by position: a name may hold dots or be that of a method.
        self.heads = nn.ModuleList(
            DomainHead(width, classes, domains[name], many=name in self.many)
            if name in domains
            else nn.Linear(width, classes)
            for name, classes in heads.items()
        )
        auxiliary = getattr(backbone, "auxiliary_width", 0)
        self.auxiliary_heads = nn.ModuleList(
            nn.Linear(auxiliary, classes) for classes in heads.values() if auxiliary
        )
        for parameter in (*self.heads.parameters(), *self.auxiliary_heads.parameters()):
            nn.init.zeros_(parameter)

    @overload
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the logits (n, classes) by head."""

    @overload
    def forward(
        self, images: Tensor, *, with_features: Literal[True]
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the logits (n, classes) by head, and the features (n, width)."""

    def forward(
        self, images: Tensor, *, with_features: bool = False
    ) -> dict[str, Tensor] | tuple[dict[str, Tensor], Tensor]:
        """Return the logits (n, classes) of every head for images in [0, 1].

        With `with_features` the features (n, width) come with them.
        """
        features = self.features(images)
        logits = {name: head(features) for name, head in zip(self.head_names, self.heads)}
        self.auxiliary = {}
        if (early := getattr(self.backbone, "auxiliary", None)) is not None:
            self.auxiliary = {k: h(early) for k, h in zip(self.head_names, self.auxiliary_heads)}
        return (logits, features) if with_features else logits

    def head(self, name: str) -> nn.Module:
        """Return the head of an attribute or task."""
        return self.heads[self.head_names.index(name)]

    def probabilities(self, images: Tensor) -> dict[str, Tensor]:
        """Return probabilities in float32: softmax, or sigmoid where many classes may hold."""
        return self.as_probabilities(self(images))

    def as_probabilities(self, logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what `probabilities` does from logits that were computed before."""
        return {
            name: values.float().sigmoid() if name in self.many else values.float().softmax(dim=1)
            for name, values in logits.items()
        }
