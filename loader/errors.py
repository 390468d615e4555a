"""The errors of the loader. A fault of definitions is data, not an error: see ``loader.faults``.

    LoaderError
    ├── SourceError     nothing could be read from a source: missing or unreachable
    └── PublishError    a snapshot could not be published: the published ones stay

Each message names a remedy, and holds no password and no URL's credentials.
"""

from __future__ import annotations


class LoaderError(Exception):
    """Root of the loader's errors."""


class SourceError(LoaderError):
    """Nothing at all could be read from a source. The reader keeps the previous reading."""


class PublishError(LoaderError):
    """A snapshot could not be published. The published revision stays in force."""
