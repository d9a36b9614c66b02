"""What all measures share, and nobody outside: rows, resamples, results."""
