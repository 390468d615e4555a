"""Checks of the rules published in a Redis: whole, signed, led by a loader, and followed by the server."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Final

import grpc

from pdp.rules.snapshot.blob import FORMAT_VERSION, MAGIC, READABLE
from rightcall.doctor.findings import NotExamined, counted, failure, listed, ok, warning
from rightcall.doctor.redis_part import HEAD_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rightcall.doctor.findings import Finding
    from rightcall.doctor.redis_part import RedisPart
    from rightcall.doctor.server import ServerPart

_HEAD: Final = struct.Struct("<8sI")
_LOOKS: Final = 4
_PAUSE_SECONDS: Final = 0.3
"""Seconds before comparing again: an edit on the way from Redis to the server has arrived by then."""


def check_pointers(redis: RedisPart) -> Finding:
    """Whether something is published, readable, and signed with our key."""
    pointers = redis.first_pointers
    if pointers.bad:
        tenant, problem = next(iter(pointers.bad.items()))
        seen = f"{counted(len(pointers.bad), 'pointer')} cannot be used; tenant {tenant}: {problem}"
        return failure(seen, "give --secret-key-file as the loader has it; see RightcallRulesRefused in the runbook")
    if not pointers.current:
        advice = "start a loader, or check --redis-prefix and the database's number in the URL"
        return failure(f"nothing is published under {redis.keys.prefix}", advice)
    pinned = [tenant for tenant, pointer in pointers.current.items() if pointer.pinned]
    signed = "signed with this key" if redis.secrets else "signatures not looked at, for want of --secret-key-file"
    seen = f"{counted(len(pointers.current), 'tenant')}, {signed}"
    if pinned:
        advice = f"their edits do not arrive; end it with: rightcall unpin {pinned[0]}"
        return warning(f"{seen}; pinned: {listed(pinned)}", advice)
    return ok(seen)


def check_snapshots(redis: RedisPart) -> Finding:
    """Checks that the snapshots of the pointers exist, in a format that this release reads."""
    pointers = list(redis.first_pointers.current.values())
    if not pointers:
        raise NotExamined("nothing is published that could be read")
    heads = dict(zip([pointer.tenant for pointer in pointers], redis.heads(pointers), strict=True))
    missing = [tenant for tenant, head in heads.items() if not head]
    if missing:
        advice = "a loader that leads publishes them again; keep Redis from evicting (maxmemory-policy noeviction)"
        return failure(f"missing of {counted(len(missing), 'tenant')}: {listed(missing)}", advice)
    foreign = [tenant for tenant, head in heads.items() if not _is_ours(head)]
    if foreign:
        advice = "bring servers, loader and this program to the same release: servers first, the loader last"
        return failure(f"of another format, of {counted(len(foreign), 'tenant')}: {listed(foreign)}", advice)
    return ok(f"those of {counted(len(heads), 'tenant')} are there, of format {_formats(heads.values())}")


def _is_ours(head: bytes) -> bool:
    return len(head) == HEAD_SIZE and head.startswith(MAGIC) and _HEAD.unpack(head)[1] in READABLE


def _formats(heads: Iterable[bytes]) -> str:
    """The versions of the format that there are."""
    return " and ".join(map(str, sorted({_HEAD.unpack(head)[1] for head in heads}))) or str(FORMAT_VERSION)


def check_leader(redis: RedisPart) -> Finding:
    """Whether a loader leads."""
    holder, left = redis.leader()
    if not holder:
        advice = "start a loader, or see RightcallNobodyLeads in the runbook; after `load --once` nobody leads"
        return failure("no loader leads: edits do not arrive", advice)
    if left < 0:
        return failure(f"{holder}, with a lease that never ends", f"delete the key {redis.keys.leader}")
    return ok(f"{holder}, for {left / 1000:.1f} s unless it renews its lease")


def check_agreement(redis: RedisPart, server: ServerPart) -> Finding:
    """Checks that the server decides by the revisions published here."""
    status = server.status
    if status.source.startswith("definitions "):
        raise NotExamined("the server reads definitions itself, and follows no Redis")
    shown = f" (the server names it {status.source})" if status.source not in ("", redis.name) else ""
    for look in range(_LOOKS):
        wanted = {tenant: str(pointer.revision) for tenant, pointer in redis.pointers().current.items()}
        try:
            status = server.fetch_status()
        except grpc.RpcError as error:
            raise NotExamined("the server tells no status any more") from error
        held = {one.tenant: one.revision for one in status.tenants}
        if not status.source:  # a client of some tenants sees those alone
            wanted = {tenant: revision for tenant, revision in wanted.items() if tenant in held}
        if held == wanted:
            return ok(f"{counted(len(held), 'tenant')} with the same revisions{shown}")
        if look < _LOOKS - 1:
            time.sleep(_PAUSE_SECONDS)
    return _disagreement(wanted, held, shown)


def _disagreement(wanted: dict[str, str], held: dict[str, str], shown: str) -> Finding:
    lacking = sorted(wanted.keys() - held.keys())
    other = sorted(tenant for tenant in wanted.keys() & held.keys() if wanted[tenant] != held[tenant])
    further = sorted(held.keys() - wanted.keys())
    if lacking or other:
        parts = [f"the server lacks {listed(lacking)}"] if lacking else []
        parts += [f"it has another revision of {listed(other)}"] if other else []
        advice = "its log says rules_refused or redis_unreachable; see RightcallStaleRules and RightcallRulesRefused"
        return failure(f"{'; '.join(parts)}{shown}", advice)
    advice = "Redis lost their pointers, or is another one: servers that start now lack them until a loader publishes"
    return warning(f"the server has tenants that are not published here: {listed(further)}{shown}", advice)
