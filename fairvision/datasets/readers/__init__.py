"""One reader per source of images: each makes a dataset folder."""
