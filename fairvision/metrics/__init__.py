"""Measures of bias: arrays in, figures with their counts and intervals out.

Groups and labels are names or codes; None, NaN and -1 mean unknown, and what is unknown takes no
part. A figure is a `Result`, a float with its bootstrap interval `low` to `high` and the number `n`
of images behind it. What is undefined is NaN. Results on the same rows are paired, so `compare`
gives differences with intervals. Keywords that all measures share are in `Sampling`; tables larger
than memory go through `Counts`. Needs neither torch nor the rest of fairvision.
"""

from fairvision.metrics._engine.attacks import LeakageResult
from fairvision.metrics._engine.bootstrap import Sampling
from fairvision.metrics._engine.extreme_groups import GroupResult
from fairvision.metrics._engine.result import Result, compare
from fairvision.metrics.amplification import (
    MalsResult,
    bias_amplification_mals,
    bias_amplification_mals_from_ratios,
    context_typical_group,
    directional_bias_amplification,
)
from fairvision.metrics.calibration import calibration_error
from fairvision.metrics.caption_leakage import LicResult, lic
from fairvision.metrics.caption_quality import bleu, caption_metrics, cider, rouge_l
from fairvision.metrics.caption_words import caption_genders, mask_words
from fairvision.metrics.captions import CaptionReport, caption_report, outcome_divergence
from fairvision.metrics.causes import evidence_cells, reasons
from fairvision.metrics.cifar10s import cifar10s_bias
from fairvision.metrics.consistency import counterfactual_flips, counterfactual_misses
from fairvision.metrics.contrasts import (
    gap,
    group_ratio,
    mean,
    mean_by_group,
    mean_of_groups,
    small_groups,
    worst_group,
)
from fairvision.metrics.count_tables import from_arrow, to_arrow
from fairvision.metrics.counterfactual_sets import CounterfactualResult, counterfactual_consistency
from fairvision.metrics.counts import Counts
from fairvision.metrics.decisions import calibrate_thresholds, decide, probability_gap
from fairvision.metrics.disparity import conditional_demographic_disparity
from fairvision.metrics.entropy import EntropyResult, generalized_entropy_index, theil_index
from fairvision.metrics.evidence import (
    area_weighted_localisation,
    chance_level,
    evidence_auc,
    localisation,
    pointing_game,
    relevance_mass,
    relevance_rank,
    top_k_intersection,
)
from fairvision.metrics.group_noise import NoisyGroups, noisy_groups
from fairvision.metrics.group_table import GroupMetrics, group_metrics
from fairvision.metrics.leakage import dataset_leakage, leakage_amplification, model_leakage
from fairvision.metrics.losses import log_loss
from fairvision.metrics.multi_attribute import (
    MultiAttributeResult,
    multi_attribute_bias_amplification,
)
from fairvision.metrics.neighbours import consistency_score
from fairvision.metrics.parity import (
    accuracy_difference,
    demographic_parity_difference,
    demographic_parity_ratio,
    equal_opportunity_difference,
    equal_opportunity_ratio,
    equalized_odds_difference,
    equalized_odds_ratio,
)
from fairvision.metrics.power import detectable_gap, effective_images
from fairvision.metrics.predictability import directional_predictability_amplification
from fairvision.metrics.rankings import bias_at_k, max_skew, ndkl, skew_at_k
from fairvision.metrics.rates import (
    accuracy,
    balanced_accuracy,
    confusion,
    correct,
    error_rate,
    f1_score,
    false_discovery_rate,
    false_negative_rate,
    false_omission_rate,
    false_positive_rate,
    negative_predictive_value,
    precision,
    selection_rate,
    true_negative_rate,
    true_positive_rate,
)
from fairvision.metrics.resolution import resolution_accuracy
from fairvision.metrics.retrieval import average_precision, label_ranking_average_precision
from fairvision.metrics.roc import abroca, roc_auc
from fairvision.metrics.score_counts import BoundedResult, ScoreCounts
from fairvision.metrics.score_gaps import ScoreGapResult, score_gap
from fairvision.metrics.slices import Hypotheses, error_slices, error_words
from fairvision.metrics.together import holm, simultaneous

__all__ = [
    "BoundedResult",
    "CaptionReport",
    "CounterfactualResult",
    "Counts",
    "EntropyResult",
    "GroupMetrics",
    "GroupResult",
    "Hypotheses",
    "LeakageResult",
    "LicResult",
    "MalsResult",
    "MultiAttributeResult",
    "NoisyGroups",
    "Result",
    "Sampling",
    "ScoreCounts",
    "ScoreGapResult",
    "abroca",
    "accuracy",
    "accuracy_difference",
    "area_weighted_localisation",
    "average_precision",
    "balanced_accuracy",
    "bias_amplification_mals",
    "bias_amplification_mals_from_ratios",
    "bias_at_k",
    "bleu",
    "calibrate_thresholds",
    "calibration_error",
    "caption_genders",
    "caption_metrics",
    "caption_report",
    "chance_level",
    "cider",
    "cifar10s_bias",
    "compare",
    "conditional_demographic_disparity",
    "confusion",
    "consistency_score",
    "context_typical_group",
    "correct",
    "counterfactual_consistency",
    "counterfactual_flips",
    "counterfactual_misses",
    "dataset_leakage",
    "decide",
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "detectable_gap",
    "directional_bias_amplification",
    "directional_predictability_amplification",
    "effective_images",
    "equal_opportunity_difference",
    "equal_opportunity_ratio",
    "equalized_odds_difference",
    "equalized_odds_ratio",
    "error_rate",
    "error_slices",
    "error_words",
    "evidence_auc",
    "evidence_cells",
    "f1_score",
    "false_discovery_rate",
    "false_negative_rate",
    "false_omission_rate",
    "false_positive_rate",
    "from_arrow",
    "gap",
    "generalized_entropy_index",
    "group_metrics",
    "group_ratio",
    "holm",
    "label_ranking_average_precision",
    "leakage_amplification",
    "lic",
    "localisation",
    "log_loss",
    "mask_words",
    "max_skew",
    "mean",
    "mean_by_group",
    "mean_of_groups",
    "model_leakage",
    "multi_attribute_bias_amplification",
    "ndkl",
    "negative_predictive_value",
    "noisy_groups",
    "outcome_divergence",
    "pointing_game",
    "precision",
    "probability_gap",
    "reasons",
    "relevance_mass",
    "relevance_rank",
    "resolution_accuracy",
    "roc_auc",
    "rouge_l",
    "score_gap",
    "selection_rate",
    "simultaneous",
    "skew_at_k",
    "small_groups",
    "theil_index",
    "to_arrow",
    "top_k_intersection",
    "true_negative_rate",
    "true_positive_rate",
    "worst_group",
]
