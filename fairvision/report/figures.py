"""Names that are in `fairvision.results` now; they are found here still, with a warning."""

from fairvision.core.deprecation import moved

__getattr__ = moved(
    __name__,
    Figure="fairvision.results.figures",
    Figures="fairvision.results.figures",
    read="fairvision.results.figures",
    read_metrics="fairvision.results.table",
)
