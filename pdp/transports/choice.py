"""The choice of the transport, checked before any port listens."""

from __future__ import annotations

from functools import cache

import structlog

from pdp.errors import TransportError
from pdp.rules.core import core
from pdp.settings import Transport

__all__ = ["Transport", "choose_transport", "core_is_built"]


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
    found = core()
    if found.problem:
        advice = "install Rightcall again on this system"
        structlog.get_logger().warning("core_unusable", problem=found.problem, advice=advice)
    return found.module is not None
