"""The choice of the transport, by the abilities of each, checked before any port listens."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from typing import TYPE_CHECKING

from pdp.errors import ListenError, TransportError
from pdp.runtime.address import UNIX, is_local
from pdp.runtime.cores import available_cores
from pdp.security.settings import Auth
from pdp.settings import Transport

if TYPE_CHECKING:
    from pdp.settings import ServerSettings

__all__ = ["NATIVE_PACKAGE", "Transport", "choose_transport", "fitting_workers"]

NATIVE_PACKAGE = "pygrpc_native"
CORE_MODULE = "pdp._core"
CORE_API = 1
"""The value that ``_core.API`` must have."""


def choose_transport(
    wanted: Transport, settings: ServerSettings, *, decision_log: bool, tracing: bool = False, workers: int = 1
) -> Transport:
    """The transport that serves: NATIVE, GRPCIO or CORE.

    Args:
        wanted: the transport in the settings.
        settings: the server's settings.
        decision_log: whether responses carry the decision's id in the decision log.
        tracing: whether requests have spans.
        workers: number of processes that answer; only NATIVE can use more than one.

    Raises:
        TransportError: NATIVE is wanted and not installed, or lacks something that the other settings need.
    """
    if wanted is Transport.AUTO and workers == 1 and core_is_built():
        return Transport.CORE
    if wanted is Transport.CORE:
        return _core(workers)
    if workers > 1:
        if wanted is Transport.GRPCIO:
            raise TransportError("grpcio serves from one process; leave out --workers, or choose the native transport")
        if settings.listen.startswith(UNIX):
            raise TransportError("workers cannot share a Unix socket; leave out --workers, or listen on a port")
        wanted = Transport.NATIVE if is_local(settings.listen) else wanted
    chosen = _choose(wanted, settings, decision_log=decision_log, tracing=tracing)
    if workers > 1 and chosen is Transport.GRPCIO:
        raise TransportError(
            f"workers need the native transport, which is not chosen by itself for {settings.listen}, where others can "
            "reach it (docs/scaling.md says why); give --transport native if only known clients can, or no --workers"
        )
    return chosen


def fitting_workers(wanted: Transport, settings: ServerSettings, *, decision_log: bool, tracing: bool = False) -> int:
    """The default number of processes: one for each core where NATIVE will serve, else one.

    CORE serves with threads, so where CORE is the default there is one process.

    Args:
        wanted: as of ``choose_transport``, as are the others.
    """
    if wanted is Transport.AUTO and core_is_built():
        return 1
    try:
        several = not settings.listen.startswith(UNIX) and (is_local(settings.listen) or wanted is Transport.NATIVE)
    except ListenError:  # the listener will report the fault
        return 1
    if not several or wanted in (Transport.GRPCIO, Transport.CORE) or not _installed():
        return 1
    return 1 if _lacks(settings, decision_log=decision_log, tracing=tracing) else available_cores()


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
    import structlog  # noqa: PLC0415 - as below

    structlog.get_logger().warning("core_unusable", problem=problem, advice="install Rightcall again on this system")
    return False


def _core(workers: int) -> Transport:
    if workers > 1:
        raise TransportError("the core serves with threads; leave out --workers, and give --io-threads NUMBER")
    if not core_is_built():
        raise TransportError(
            "the core was not built when Rightcall was installed; install it again where there is a Rust compiler "
            "(rustup, or Debian's rustc-web and cargo-web), or choose another transport"
        )
    return Transport.CORE


def _installed() -> bool:
    return importlib.util.find_spec(NATIVE_PACKAGE) is not None


def _choose(wanted: Transport, settings: ServerSettings, *, decision_log: bool, tracing: bool) -> Transport:
    if wanted is Transport.GRPCIO:
        return wanted
    missing = _lacks(settings, decision_log=decision_log, tracing=tracing)
    installed = _installed()
    if wanted is Transport.AUTO:
        return Transport.NATIVE if installed and not missing and is_local(settings.listen) else Transport.GRPCIO
    if not installed:
        raise TransportError("the native transport is not installed; run: pip install 'rightcall[native]'")
    if missing:
        raise TransportError(f"the native transport cannot do {', '.join(missing)}; leave that out, or choose grpcio")
    if not is_local(settings.listen):
        import structlog  # noqa: PLC0415 - workers are started before it is there

        # It takes a whole message in before it looks at the size, so a stranger could make it take gigabytes.
        log = structlog.get_logger()
        log.warning("native_transport_exposed", listen=settings.listen, advice="let nobody but known clients reach it")
    return wanted


def _lacks(settings: ServerSettings, *, decision_log: bool, tracing: bool) -> list[str]:
    """The options that were given and that the native transport has nothing for."""
    security = settings.security
    asked = {
        "--tls-certificate": security.tls_certificate,
        f"--auth {security.auth}": security.auth not in (None, Auth.NONE),
        "--client-rate": security.client_rate,
        "--client-concurrency": security.client_concurrency,
        "--max-connection-idle": settings.max_connection_idle,
        "--max-connection-age": settings.max_connection_age,
        "--max-connections": settings.max_connections,
        "--decision-log": decision_log,
        "--tracing": tracing,
    }
    return [option for option, value in asked.items() if value]
