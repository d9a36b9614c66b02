"""Inception v3, whose auxiliary classifier keeps its place in training."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import Inception3

_LEAST_WITH_AUXILIARY = 299


class InceptionV3(Inception3):
    """Features of Inception v3, and in training those of its auxiliary classifier too.

    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016 (arXiv
    1512.00567), section 4: a classifier on the last 17 × 17 grid regularises the network. Its last
    linear layer is left to heads on top. Images below 299 pixels have a smaller grid, on which it
    cannot work, and do without.

    Parameters
    ----------
    size : height and width of the images in pixels

    Attributes
    ----------
    auxiliary_width : number of auxiliary features, 0 without
    auxiliary : the auxiliary features (n, auxiliary_width) of the last images in training; None
        in evaluation, or where the auxiliary classifier is frozen

    Examples
    --------
    >>> InceptionV3(299).auxiliary_width, InceptionV3(96).auxiliary_width
    (768, 0)
    """

    def __init__(self, size: int):
        has_auxiliary = size >= _LEAST_WITH_AUXILIARY
        # Its published weights want inputs in [-1, 1], which transform_input provides.
        super().__init__(aux_logits=has_auxiliary, transform_input=True, init_weights=True)
        self.auxiliary_width = 0
        self.auxiliary: Tensor | None = None
        if has_auxiliary:
            self.auxiliary_width = self.AuxLogits.fc.in_features
            self.AuxLogits.fc = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Return the features (n, 2048); in training, `auxiliary` holds the others."""
        self.auxiliary = None
        answer = super().forward(images)
        if isinstance(answer, Tensor):
            return answer
        if self.AuxLogits is not None and self.AuxLogits.training:
            self.auxiliary = answer.aux_logits
        return answer.logits
