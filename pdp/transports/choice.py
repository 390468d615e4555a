"""The choice of the transport, checked before any port listens."""

from __future__ import annotations

import importlib
from functools import cache

import structlog

from pdp.errors import TransportError
from pdp.settings import Transport

__all__ = ["Transport", "choose_transport", "core_is_built"]

CORE_MODULE = "pdp._core"
CORE_API = 2
"""The value that ``_core.API`` must have."""


def choose_transport(wanted: Transport) -> Transport:
    """The transport that serves: CORE or GRPCIO.

    Raises:
        TransportError: CORE is wanted, and was not built.
    """
    if wanted is Transport.GRPCIO:
        return wanted
    if core_is_built():
        return Transport.CORE
    if wanted is Transport.CORE:
        raise TransportError(
            "the core was not built when Rightcall was installed; install it again where there is a Rust compiler "
            "(rustup, or Debian's rustc-web and cargo-web), or choose another transport"
        )
    return Transport.GRPCIO


@cache
def core_is_built() -> bool:
    """Whether CORE was compiled at installation, and can be used here."""
    try:
        api = getattr(importlib.import_module(CORE_MODULE), "API", 0)
    except ModuleNotFoundError:
        return False
    except ImportError as error:
        problem = str(error)
    else:
        if api == CORE_API:
            return True
        problem = f"it was built by another release (interface {api}, and {CORE_API} is needed)"
    structlog.get_logger().warning("core_unusable", problem=problem, advice="install Rightcall again on this system")
    return False
