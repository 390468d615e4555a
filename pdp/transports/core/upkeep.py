"""The core's periodic needs of Python: certificates reloaded, credentials checked, memory returned."""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    import grpc

    from pdp._core import Front
    from pdp.security.guard import Guard
    from pdp.security.setup import Security
    from pdp.services.shadow import DifferenceLog

_log = structlog.get_logger()

_TURN_SECONDS = 0.2
_PEER, _CERTIFICATE = "rightcall-front-peer", "rightcall-front-certificate-bin"
"""Metadata by which the front names the client. The front drops such metadata from clients."""


class Upkeep:
    """Keeps a front up to date, in a separate thread.

    Args:
        front: the front.
        security: source of the front's certificate and clients.
        differences: logs calls that candidates decide otherwise.
    """

    def __init__(self, front: Front, security: Security, differences: DifferenceLog) -> None:
        self._front = front
        self._differences = differences
        self._certificate = security.certificate
        self._shown = security.certificate.pem() if security.certificate else None
        self._guard = security.guard if telling(security.guard) else None
        self._basis: tuple[object, ...] = ()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="core-upkeep", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._turn()
            except Exception:  # noqa: BLE001 - after any error the next turn may go better
                _log.exception("core_upkeep_failed", advice="please report this")
                self._stopped.wait(_TURN_SECONDS)

    def _turn(self) -> None:
        self._front.release()
        for one in self._front.differences():
            self._differences.differs(*one)
        self._renew_certificate()
        if self._guard is None:
            self._stopped.wait(_TURN_SECONDS)
            return
        if not _same(self._basis, basis := self._guard.basis()):
            self._front.forget()
            self._basis = basis
        for digest, header, certificate in self._front.unknown(_TURN_SECONDS):
            self._judge(self._guard, digest, header, certificate)

    def _judge(self, guard: Guard, digest: bytes, header: bytes, certificate: bytes | None) -> None:
        known = guard.judge(header.decode("latin-1"), _pem(certificate))
        # Changes of this moment are seen in the next turn, and make the front forget everything.
        if known is not None and _same(self._basis, guard.basis()):
            client, until = known
            tenants = list(client.tenants) if client.tenants is not None else None
            self._front.remember(digest, client.name, tenants, until)

    def _renew_certificate(self) -> None:
        if self._certificate is None or self._shown == (pem := self._certificate.pem()):
            return
        self._shown = pem
        try:
            self._front.set_certificate(*pem)
        except ValueError as error:
            _log.warning("security_files_refused", kind="certificate", problem=str(error), kept="the previous ones")


def telling(guard: Guard | None) -> tuple[bool, bool, bool] | None:
    """The front's means to identify clients: header, certificate, and whether limits are by address nevertheless."""
    if guard is None or not (guard.reads_headers or guard.reads_certificates):
        return None
    return guard.reads_headers, guard.reads_certificates, not guard.knows_clients


def connection(context: grpc.ServicerContext) -> dict[str, Any]:
    """The front's facts of a call's connection, as ``Guard.admit`` takes those."""
    said = {key: value for key, value in context.invocation_metadata() if key in {_PEER, _CERTIFICATE}}
    return {"peer": str(said.get(_PEER, "")), "certificate": _pem(said.get(_CERTIFICATE))}


def _pem(certificate: object) -> bytes | None:
    return ssl.DER_cert_to_PEM_cert(certificate).encode() if isinstance(certificate, bytes) else None


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    """Whether two bases are the same objects; a basis may hold tuples of objects."""
    flat, others = _flat(one), _flat(other)
    return len(flat) == len(others) and all(a is b for a, b in zip(flat, others, strict=True))


def _flat(basis: object) -> list[object]:
    return [leaf for part in basis for leaf in _flat(part)] if isinstance(basis, tuple) else [basis]
