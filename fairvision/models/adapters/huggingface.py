"""`hf:FOLDER` and `hf:NAME`: a classifier of transformers, in a folder or on huggingface.co."""

from __future__ import annotations

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
    images = preprocessing(reference, source, options)
    return adapted(network, source, options, images, outputs=outputs)
