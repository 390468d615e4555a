"""The errors of the loader. A fault of a definition is none of them: it is data, see ``loader.faults``.

    LoaderError
    ├── SourceError     nothing at all could be read from a source: it does not exist, or cannot be reached
    └── PublishError    a snapshot could not be published: what the PDPs follow is as it was

Each message tells what to do, and holds no password and no URL's credentials.
"""

from __future__ import annotations


class LoaderError(Exception):
    """Root of what the loader raises."""


class SourceError(LoaderError):
    """Nothing at all could be read from a source. Whoever reads it keeps everything that it had."""


class PublishError(LoaderError):
    """A snapshot could not be published. What was published before stays in force."""
