"""Whether the evidence depends on the weights, the image and the mask, and what is expected."""

from functools import partial

from fairvision.results.metric import Expectation, Metric

_PER_MEASURE = "attribute, label = measure"

_per_measure = partial(Metric, unit="difference", keys=_PER_MEASURE)

METRICS = (
    _per_measure(
        name="sanity_random_maps",
        title="Random maps",
        meaning="each map moved to random places: evidence on the person minus the person’s area",
        definition="unless `--no-sanity`: evidence of moved maps ([sanity.md](sanity.md))",
        expected=Expectation("zero", 0.05),
    ),
    _per_measure(
        name="sanity_shuffled_masks",
        title="Shuffled masks",
        meaning="each map against the people of all other pictures, minus their area; above 0, "
        "maps and people favour the same places, such as the middle",
        definition="evidence on others' masks, minus their area",
        expected=Expectation("zero", 0.05),
    ),
    _per_measure(
        name="sanity_own_masks",
        title="Own masks beyond shuffled ones",
        meaning="how much more evidence lies on the person than would by favouring the same places "
        "alone",
        definition="evidence on the own mask beyond others'",
    ),
    _per_measure(
        name="sanity_randomised_localisation",
        title="Randomised networks",
        meaning="all weights shuffled: evidence on the person minus that on the people of other "
        "pictures; n counts networks",
        definition="evidence of wholly shuffled networks on the own mask beyond others'; n counts "
        "networks",
        expected=Expectation("zero", 0.05),
    ),
    Metric(
        name="sanity_randomised_correlation",
        unit="number",
        title="Maps depend on the weights",
        meaning="rank correlation with the maps of the network after all its weights were shuffled",
        keys="attribute",
        definition="rank correlation with maps of wholly shuffled networks; n counts networks",
        expected=Expectation("zero", 0.5),
    ),
    Metric(
        name="sanity_cascade",
        unit="number",
        title="Cascade",
        meaning="rank correlation with the maps after only the upper layers were shuffled",
        keys="attribute, label = how many layers",
        definition="rank correlation with maps of partly shuffled networks",
    ),
    Metric(
        name="sanity_insertion",
        unit="difference",
        title="Insertion",
        meaning="area under the probability as pixels come in, most evidence first, minus that of "
        "the same map moved to a random place",
        keys="attribute",
        definition="faithfulness: area under the curve beyond that of the map at a random place",
        expected=Expectation("above"),
    ),
    Metric(
        name="sanity_deletion",
        unit="difference",
        title="Deletion",
        meaning="area under the probability as pixels go, most evidence first, minus that of the "
        "same map moved to a random place",
        keys="attribute",
        definition="faithfulness: area under the curve beyond that of the map at a random place",
        expected=Expectation("below"),
    ),
    Metric(
        name="sanity_infidelity",
        unit="number",
        title="Infidelity",
        meaning="mean squared error of the map’s account of hidden squares, in squared logits; 0 "
        "is exact",
        keys="attribute",
    ),
    Metric(
        name="sanity_sensitivity",
        unit="number",
        title="Sensitivity",
        meaning="largest change of the map under small noise, over its size; 0 is steady",
        keys="attribute",
    ),
)
