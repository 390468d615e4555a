"""The core in Rust, where it was built when Rightcall was installed.

What decides from snapshots and compiles rules is in Python here, to read and as a fallback, and in the core, in a tenth
of the time; property tests hold the two together.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from types import ModuleType

_MODULE = "pdp._core"
_API = 5
"""The value that ``_core.API`` must have."""


class Core(NamedTuple):
    """What there is of the core.

    Attributes:
        module: the extension module; None: there is none that can be used.
        problem: why the one that was built cannot be used; empty: it can, or was not built.
    """

    module: ModuleType | None
    problem: str = ""


@cache
def core() -> Core:
    """The core of this installation."""
    try:
        module = import_module(_MODULE)
    except ModuleNotFoundError:
        return Core(None)
    except ImportError as error:
        return Core(None, str(error))
    api = getattr(module, "API", 0)
    if api != _API:
        return Core(None, f"it was built by another release (interface {api}, and {_API} is needed)")
    return Core(module)
