"""The names of the attribution methods; nothing heavy is imported for them."""

METHODS = (
    "gradcam",
    "gradcam_plus_plus",
    "layercam",
    "hirescam",
    "guided_gradcam",
    "guided_backprop",
    "integrated_gradients",
    "saliency",
    "input_x_gradient",
    "deep_lift",
    "deep_lift_shap",
    "gradient_shap",
    "occlusion",
    "feature_ablation",
    "rise",
)

WITHOUT_GRADIENTS = ("occlusion", "feature_ablation", "rise")
"""The methods that need no gradients: they look at what a model makes of changed images."""

FROM_SEVERAL = ("deep_lift_shap", "gradient_shap")
"""The methods that take any number of plain images."""

DEFAULT = "hirescam"
"""What audits and explanations take; docs/attribution.md says on what grounds."""
