"""From a network and images to one map of evidence per image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from fairvision.attribution.at_layers import Choose
from fairvision.attribution.completeness import Sums, adding_up, check_reach
from fairvision.attribution.explained import (
    Explained,
    Options,
    plain_images,
    targets_of,
    undisturbed,
)
from fairvision.attribution.gradcam import (
    enlarged,
    gradcam,
    gradcam_plus_plus,
    guided_gradcam,
    only_layer,
)
from fairvision.attribution.gradients import (
    gradient_shap,
    input_x_gradient,
    integrated_gradients,
    saliency,
)
from fairvision.attribution.hirescam import hirescam, places
from fairvision.attribution.layercam import layercam, stages
from fairvision.attribution.layers import map_size
from fairvision.attribution.names import FROM_SEVERAL, METHODS, WITHOUT_GRADIENTS
from fairvision.attribution.perturbations import feature_ablation, occlusion, through_noise
from fairvision.attribution.rise import rise
from fairvision.attribution.rules import deep_lift, deep_lift_shap, guided_backprop
from fairvision.core.suggestions import did_you_mean
from fairvision.errors import InputError

if TYPE_CHECKING:
    from fairvision.models import Model

# From what is explained, images, targets and the images' numbers to values per channel.
Raw = Callable[[Explained, Tensor, Tensor, Tensor], Tensor]

_RAW: dict[str, Raw] = {
    "gradcam": gradcam,
    "gradcam_plus_plus": gradcam_plus_plus,
    "layercam": layercam,
    "hirescam": hirescam,
    "guided_gradcam": guided_gradcam,
    "guided_backprop": guided_backprop,
    "saliency": saliency,
    "input_x_gradient": input_x_gradient,
    "integrated_gradients": integrated_gradients,
    "deep_lift": deep_lift,
    "deep_lift_shap": deep_lift_shap,
    "gradient_shap": gradient_shap,
    "occlusion": occlusion,
    "feature_ablation": feature_ablation,
    "rise": rise,
}
LAYERS_OF: dict[str, Choose] = {
    **dict.fromkeys(("gradcam", "gradcam_plus_plus", "guided_gradcam"), only_layer),
    "layercam": stages,
    "hirescam": places,
}
"""The methods that look at layers, and how these are chosen."""
# Gradients per pixel: how sharply the logit answers to a change, in whichever direction.
_UNSIGNED = ("guided_gradcam", "guided_backprop", "saliency")


def attribute(
    network: nn.Module,
    images: Tensor,
    target: Tensor | int,
    method: str = "gradcam",
    *,
    head: str | None = None,
    layer: str | None = None,
    baseline: Tensor | float | None = None,
    steps: int = 50,
    tolerance: float | None = None,
    noise_tunnel: str | None = None,
    samples: int = 20,
    noise: float | None = None,
    window: int | None = None,
    stride: int | None = None,
    masks: int = 1000,
    segments: Tensor | None = None,
    signed: bool = False,
    seed: int = 0,
    precision: str = "32",
    batch_size: int = 32,
) -> Tensor:
    """Return where in each image the evidence for a class lies.

    What is explained is the target's logit. Heads of `fairvision.models` are trained from zero
    weights, so with two groups the logits stay opposites: what speaks for one speaks against the
    other. The methods, and when each misleads, are described in docs/attribution.md.

    Parameters
    ----------
    network : any classifier: called with images, it returns logits (n, classes), or a dictionary
        or tuple of them. Its modes, hooks, gradients and which parameters take them are afterwards
        as they were, even after an error.
    images : (n, 3, height, width) float, what the network takes
    target : position of the class, (n,) int64 or one for all; -1 is unknown
    method : one of `METHODS`
    head : which logits, where the network returns several: the name in its dictionary, or the
        position in its tuple ("0"); by default the only ones, or those called "logits"
    layer : dotted name of the layer for the Grad-CAM methods; default: see `gradcam_layer`. For
        layercam and hirescam by default several, see `stage_layers`
    baseline : the plain image of integrated_gradients, deep_lift, gradient_shap, and what hides
        in occlusion, feature_ablation and rise; anything that broadcasts to `images`; by default
        each image's mean colour, which also hides the person. For deep_lift_shap and gradient_shap,
        four dimensions are any number of plain images, to take the mean over or to draw from.
    steps : points on the line of integrated_gradients (Gauss-Legendre)
    tolerance : double the steps of an image, up to 1024, until its signed map adds up to the
        difference of the logits between image and plain image within so much; an image that
        never does is warned of
    noise_tunnel : "smoothgrad" (mean), "smoothgrad_sq" (mean square) or "vargrad" (variance) of
        the attributions of noisy copies of the image
    samples : noisy copies, and points that gradient_shap draws
    noise : standard deviation, in units of the images; by default 0.15 for a noise tunnel, 0 for
        gradient_shap
    window, stride : pixels, of occlusion; by default a seventh of the image, and half of that.
        For feature_ablation, `window` is the side of its squares, for rise that of its cells
    masks : how many random masks rise draws for each image
    segments : (height, width) whole numbers, the parts that feature_ablation hides together
    signed : keep what speaks against the target, as negative values. Without effect on saliency,
        guided_backprop and guided_gradcam, which have no sign
    seed : of all chance; draws depend on the image's position and on nothing else
    precision : "32" (as the network is), or "bf16" or "16" for automatic mixed precision
    batch_size : largest number of images, image-steps, samples or hidden parts in the network
        at one time: it bounds the memory and changes nothing else. Deep_lift needs two.

    Returns
    -------
    (n, height, width) float32 on the device of `images`, not negative unless `signed`; in units of
    the logit, but for the three without sign, whose unit is logit per unit of the image. All zero
    where nothing speaks for the target; NaN where the target is unknown, or the image or the
    network's answer is not finite.

    Raises
    ------
    InputError
        For an unknown method, head or class, an option out of range, a layer without positions, or
        where gradients do not reach the image.

    Warns
    -----
    FairvisionWarning
        Where maps of deep_lift are off by more than 1% of the change of the logit, or those of
        integrated_gradients by more than the tolerance.

    Examples
    --------
    A network that sums the red of the left half; the evidence lies there and nowhere else:

    >>> import torch
    >>> class Left(torch.nn.Module):
    ...     def forward(self, images):
    ...         return images[:, :1, :, :2].sum(dim=(2, 3))
    >>> attribute(Left(), torch.rand(1, 3, 2, 4), 0, "saliency")
    tensor([[[1., 1., 0., 0.],
             [1., 1., 0., 0.]]])
    """
    options = Options(
        head=head,
        layer=layer,
        baseline=baseline,
        steps=steps,
        tolerance=tolerance,
        noise_tunnel=noise_tunnel,
        samples=samples,
        noise=noise,
        window=window,
        stride=stride,
        masks=masks,
        segments=segments,
        seed=seed,
        precision=precision,
        batch_size=batch_size,
    )
    return numbered(network, images, target, method, options, signed=signed)


def attribute_stream(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor | int]],
    method: str = "gradcam",
    *,
    signed: bool = False,
    quiet: bool = True,
    **options: Any,
) -> Iterator[Tensor]:
    """Yield maps of evidence batch by batch.

    Small batches are put together, and large ones cut, to `batch_size`: how the images come
    changes neither the maps nor what the network holds at one time.

    Parameters
    ----------
    network : as for `attribute`. It is as it was whenever maps are yielded.
    batches : pairs of images (n, 3, height, width) and targets, (n,) or one for all, such as a
        `DataLoader` gives; they are moved to the network's device
    method : one of `METHODS`
    signed : as for `attribute`
    quiet : show no progress on the terminal
    **options : all other options of `attribute`; `baseline` must fit images one by one

    Yields
    ------
    (n, height, width) float32 on the network's device, for each of the batches

    Raises
    ------
    InputError
        As `attribute` does.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2))
    >>> batches = [(torch.rand(n, 3, 8, 8), torch.ones(n, dtype=torch.int64)) for n in (1, 3)]
    >>> [maps.shape for maps in attribute_stream(network, batches)]
    [torch.Size([1, 8, 8]), torch.Size([3, 8, 8])]
    """
    chosen = Options(**options)
    parameter = next(network.parameters(), None)
    waiting: list[tuple[Tensor, Tensor]] = []
    first, sums = 0, Sums()

    def finish() -> Iterator[Tensor]:
        nonlocal first
        if waiting:
            images, targets = (torch.cat(parts) for parts in zip(*waiting))
            sizes = [len(images) for images, _ in waiting]
            waiting.clear()
            with adding_up(sums):
                maps = numbered(
                    network, images, targets, method, chosen, signed=signed, first=first
                )
            first += len(images)
            yield from torch.split(maps, sizes)

    console = Console(stderr=True)
    for images, target in track(
        batches, description=method, console=console, transient=True, disable=quiet
    ):
        images = images if parameter is None else images.to(parameter.device)
        targets = targets_of(target, images)
        if waiting and waiting[0][0].shape[1:] != images.shape[1:]:
            yield from finish()
        waiting.append((images, targets))
        if sum(len(images) for images, _ in waiting) >= chosen.batch_size:
            yield from finish()
    yield from finish()
    sums.tell()


class _LogProbabilities(nn.Module):
    """The predictions of a model as logits, through which no gradient flows.

    They stay finite where a probability is 0 or 1.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return (n, labels) by head: logits if many may hold, else log probabilities."""
        schema = self.model.schema
        return {
            head: scores.logit(1e-7) if schema.is_many(head) else scores.clamp(min=1e-30).log()
            for head, scores in self.model.predict(images).items()
        }


def module_of(model: Model, method: str) -> nn.Module:
    """Return the network that a method explains of a model.

    That is its module. Of a model without one, methods that need no gradients explain the
    logarithms of its probabilities; others raise `InputError`.
    """
    if model.module is not None:
        return model.module
    if method in WITHOUT_GRADIENTS:
        return _LogProbabilities(model)
    *others, last = WITHOUT_GRADIENTS
    raise InputError(
        f"{model} has no gradients, which {method} needs: choose {', '.join(others)} or {last}"
    )


def grid_of(
    network: nn.Module, images: Tensor, method: str, layer: str | None = None
) -> tuple[int, int] | None:
    """Return rows and columns of a method's map before it is enlarged to the images.

    Parameters
    ----------
    network, method, layer : as for `attribute`
    images : (n, 3, height, width); the first one is run through the network

    Returns
    -------
    Those of the finest layer; None of a method that looks at the image itself.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> grid_of(network, torch.zeros(1, 3, 8, 8), "gradcam")
    (6, 6)
    """
    if method not in LAYERS_OF:
        return None
    layers = LAYERS_OF[method](network, images[:1], layer)
    return max(map_size(network, images[:1], name) for name in layers)


def numbered(
    network: nn.Module,
    images: Tensor,
    target: Tensor | int,
    method: str,
    options: Options,
    *,
    signed: bool = False,
    first: int = 0,
) -> Tensor:
    """Return what `attribute` does, for images of which the first has the number `first`."""
    if method not in METHODS:
        hint = did_you_mean(method, METHODS)
        raise InputError(f"unknown attribution {method!r}: choose from {', '.join(METHODS)}{hint}")
    if images.ndim != 4 or not images.is_floating_point():
        raise InputError(
            f"images must be (n, channels, height, width) of floats, not {images.dtype} of shape "
            f"{tuple(images.shape)}"
        )
    maps = images.new_full((len(images), *images.shape[2:]), torch.nan, dtype=torch.float32)
    with (
        adding_up(),
        torch.inference_mode(False),
        torch.enable_grad(),
        undisturbed(network, frozen=True),
    ):
        maps = maps.clone()  # a tensor made in inference mode cannot be written to outside
        targets = targets_of(target, images)
        # The sum is finite where all are, and cheaper to look at.
        whole = images.sum(dim=(1, 2, 3), dtype=_wide_dtype(images)).isfinite()
        valid = ((targets >= 0) & whole).nonzero()[:, 0]
        for start in range(0, len(valid), options.batch_size):
            rows = valid[start : start + options.batch_size]
            explained = Explained(network, _options_of(options, rows, images, method))
            batch = _rows_of(images, rows)
            raw = _raw(explained, batch, targets[rows], rows.cpu() + first, method)
            if method not in WITHOUT_GRADIENTS and not raw.any():
                check_reach(explained, batch, targets[rows])
            maps[rows] = _finished(raw.detach(), images, method, signed)
    return maps


def _wide_dtype(images: Tensor) -> torch.dtype:
    """Return the type of the images, or float32 if that is wider."""
    return torch.promote_types(images.dtype, torch.float32)


def _rows_of(images: Tensor, rows: Tensor) -> Tensor:
    """Return the images of some rows, copied only where that is needed."""
    if len(rows) == len(images) and not images.is_inference():
        return images.detach()
    return images[rows].detach()


def _raw(
    explained: Explained, images: Tensor, targets: Tensor, identities: Tensor, method: str
) -> Tensor:
    """Return a method's raw attribution for images, averaged over noisy copies if asked for."""
    raw, options = _RAW[method], explained.options
    if options.noise_tunnel is None:
        return raw(explained, images, targets, identities)
    fixed = options
    if method not in FROM_SEVERAL:
        fixed = replace(options, baseline=plain_images(images, options.baseline))

    def of_copies(copies: Tensor, rows: Tensor, numbers: Tensor) -> Tensor:
        of_rows = replace(explained, options=_options_of(fixed, rows, images, method))
        return raw(of_rows, copies, targets[rows], numbers)

    return through_noise(of_copies, images, identities, options)


def _options_of(options: Options, rows: Tensor, images: Tensor, method: str) -> Options:
    """Return the options for some images, where each has a plain image of its own."""
    baseline = options.baseline
    if not isinstance(baseline, Tensor) or baseline.ndim != 4 or method in FROM_SEVERAL:
        return options
    return replace(options, baseline=plain_images(images, baseline)[rows])


def _finished(raw: Tensor, images: Tensor, method: str, signed: bool) -> Tensor:
    """Return maps at the images' size from values per channel."""
    if method in _UNSIGNED:
        maps = raw.float().abs().amax(dim=1, keepdim=True)
    else:
        maps = raw.float().sum(dim=1, keepdim=True)
    return enlarged(maps if signed else maps.relu(), images)[:, 0]
