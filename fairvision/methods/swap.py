"""Swapped surroundings: people are learnt in the surroundings of other images.

Mixed-rand of Xiao, Engstrom, Ilyas & Madry, "Noise or Signal: The Role of Image Backgrounds in
Object Recognition", ICLR 2021 (arXiv 2006.09994), section 3.2, as augmentation: in a training batch
a person is pasted into the surroundings of another image, of whatever group. `consistency` adds
the Jensen-Shannon divergence of AugMix (Hendrycks et al., ICLR 2020, arXiv 1912.02781, section 3)
between the answers to both:

    loss = cross entropy + consistency * mean over swapped images of JS(p whole, p swapped)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fairvision.datasets import FILLS, Batch, Dataset
from fairvision.datasets.swapping import choose_donors, fill, paste
from fairvision.errors import InputError
from fairvision.methods.method import Method, Terms, check_person_masks, classify
from fairvision.models import Network


@dataclass(frozen=True)
class Swap(Method):
    """How likely an image is swapped, the weight of consistency, and how surroundings are filled.

    Attributes of swapped images are learnt in place of those of the whole ones; tasks are learnt
    from the whole images only, as their labels may be those of the surroundings.
    """

    summary: ClassVar[str] = "people are learnt in the surroundings of other images (Xiao 2021)"

    probability: float = 0.5
    consistency: float = 0.0
    fill: str = "rows"

    def check(self, dataset: Dataset) -> None:
        """Raise `InputError` where the method has nothing to work on."""
        if not 0 <= self.probability <= 1:
            raise InputError(f"probability must be between 0 and 1, not {self.probability:g}")
        if self.fill not in FILLS:
            raise InputError(f"fill {self.fill!r} is not one of {', '.join(FILLS)}")
        check_person_masks(dataset, "the swap of surroundings")

    def terms(self, network: Network, batch: Batch) -> Terms:
        """Return the cross entropy of every head, and the consistency of each attribute's answers.

        Images without a mask are learnt as they are. Which images are swapped, and with which, is
        drawn by torch's generator in a step of training, and otherwise alike each time.
        """
        rows, swapped = self._swapped(batch)
        n = len(batch.images)
        # One forward over both, for batch normalisation: see the equalizer.
        logits = network(torch.cat([batch.images, swapped]))
        whole = {name: values[:n] for name, values in logits.items()}
        after = {name: logits[name][n:] for name in batch.attributes if name in logits}
        learnt = {name: whole[name].index_copy(0, rows, values) for name, values in after.items()}
        result = classify(network, batch, {**whole, **learnt})
        result.logits = whole
        for name, values in after.items() if self.consistency else ():
            divergence = jensen_shannon(whole[name][rows], values)
            everyone = torch.ones_like(divergence, dtype=torch.bool)
            result.add(f"consistency/{name}", divergence, everyone, self.consistency)
        return result

    def _swapped(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the rows (m,) of images that are swapped, and these images."""
        n, device = len(batch.images), batch.images.device
        generator = None
        if not torch.is_grad_enabled():
            generator = torch.Generator(device).manual_seed(0)
        draws, chances = torch.rand(2, n, generator=generator, device=device)
        masks = batch.masks * batch.has_mask.view(-1, 1, 1, 1)
        # Each image is a group of its own, as surroundings may come from any other.
        donors = choose_donors(masks, torch.arange(n, device=device), draws, 1)[:, 0]
        rows = ((donors >= 0) & (chances < self.probability)).nonzero()[:, 0]
        given = donors[rows]
        surroundings = fill(batch.images[given], masks[given], self.fill)
        return rows, paste(batch.images[rows], masks[rows], surroundings)


def jensen_shannon(first: Tensor, second: Tensor) -> Tensor:
    """Return how far the answers to two versions of an image are apart.

    The mean of the Kullback-Leibler divergences of both from their mean, in nats: 0 where they are
    alike, log 2 where they share nothing.

    Parameters
    ----------
    first, second : logits (n, groups)

    Returns
    -------
    (n,) float32, in [0, log 2]

    Examples
    --------
    >>> import torch
    >>> jensen_shannon(torch.tensor([[0.0, 0.0], [50.0, 0.0]]), torch.tensor([[0.0, 0], [0, 50]]))
    tensor([0.0000, 0.6931])
    """
    logs = [logits.float().log_softmax(dim=1) for logits in (first, second)]
    mixture = torch.stack(logs).logsumexp(dim=0) - torch.log(torch.tensor(2.0))
    divergences = [(log.exp() * (log - mixture)).sum(dim=1) for log in logs]
    return (divergences[0] + divergences[1]) / 2
