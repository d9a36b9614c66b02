"""The version, in the one place from which package, commands and outputs take it."""

__version__ = "0.2.0"


def versions(*libraries: str) -> dict[str, str]:
    """Return the versions of fairvision, of Python, and of those libraries that are installed.

    >>> list(versions("numpy", "no-such-library"))
    ['fairvision', 'python', 'numpy']
    """
    import platform
    from importlib import metadata

    installed = {}
    for name in libraries:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {"fairvision": __version__, "python": platform.python_version(), **installed}
