"""Engines that run Python on many machines, and how they ask models. See docs/shards.md."""
