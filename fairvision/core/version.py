"""The version, in the one place from which package, commands and outputs take it."""

__version__ = "0.2.0"
