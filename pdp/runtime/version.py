"""The version of this installation."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version


def version() -> str:
    """The version of the installed distribution; ``0+source`` where the sources run without being installed."""
    try:
        return installed_version("rightcall")
    except PackageNotFoundError:
        return "0+source"
