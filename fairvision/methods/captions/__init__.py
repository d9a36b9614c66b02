"""Training methods for captioners: loss terms over the words of a batch, one file per method."""
