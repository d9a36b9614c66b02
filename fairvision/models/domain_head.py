"""A head that answers for every group by itself, and brings the answers together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

RULES = ("sum", "prior_shift")


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
        return self.linear(features).unflatten(1, self._shape)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits (n, classes), whatever the group."""
        joint = self.joint(features)
        if self.domains.rule == "sum":
            return joint.mean(dim=1)
        shifted = (joint.float() - self.log_prior).logsumexp(dim=1)
        return shifted[..., 1] - shifted[..., 0] if self.many else shifted
