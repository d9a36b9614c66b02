"""`hf:FOLDER` and `hf:NAME`: a classifier of transformers, in a folder or on huggingface.co."""

from __future__ import annotations

from fairvision.errors import warn_caller
from fairvision.models.adapters.transformers_files import preprocessing, pretrained
from fairvision.models.model import Model
from fairvision.models.sources import SourceOptions, adapted


def open_model(reference: str, options: SourceOptions) -> Model:
    """Return a classifier of transformers.

    Parameters
    ----------
    reference : folder that `save_pretrained` wrote, or name on huggingface.co
    options : what is told about it

    Raises
    ------
    InputError
        If it cannot be read without running code that comes with it, or is no classifier.
    """
    source = f"hf:{reference}"
    network = pretrained(reference, source, "AutoModelForImageClassification")
    labels = network.config.id2label
    outputs = [str(labels[i]) for i in range(network.config.num_labels)]
    single = [head for head, about in (options.heads or {}).items() if not about.many]
    if network.config.problem_type == "multi_label_classification" and single:
        warn_caller(
            f"{source} was trained to give many labels to an image, but head {single[0]!r} takes "
            "one of them: say that many labels may hold (many = true in --heads FILE.toml, "
            "fairvision.Head(…, many=True) in Python) unless that is meant"
        )
    images = preprocessing(reference, source, options)
    return adapted(network, source, options, images, outputs=outputs)
