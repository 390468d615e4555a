from collections.abc import Set as AbstractSet
from typing import TypeAlias, final

API: int
"""Changes with whatever is called here."""
FORMAT: int
"""The version of snapshots that is understood."""
CHALLENGE: int
"""The version of the challenges that are made."""
BUCKETS: list[int]
"""Upper bounds of the latency histograms, in nanoseconds."""

_Times: TypeAlias = tuple[list[int], float]
"""Counts by bucket of ``counters.BUCKETS``, and seconds all together."""

@final
class Counts:
    decisions: list[int]
    plain: _Times
    deciding: _Times
    batches: _Times
    streamed: _Times
    too_large: list[int]
    ended: list[int]
    strange: list[int]
    handed: list[int]

@final
class Limits:
    def __init__(self, *, rate: float, burst: int, concurrency: int) -> None: ...
    def enter(self, client: str, cost: int) -> tuple[str, float] | None: ...
    def charge(self, client: str, cost: int) -> None: ...
    def leave(self, client: str) -> None: ...
    def pace(self, client: str) -> float: ...

@final
class FrontLimits:
    def __init__(
        self,
        *,
        message: int,
        metadata: int,
        streams: int,
        connections: int,
        calls: int,
        open_streams: int,
        keepalive: tuple[float, float],
        idle: float,
        age: tuple[float, float],
    ) -> None: ...

@final
class FrontPolicy:
    def __init__(
        self,
        *,
        deny_unknown_callers: bool,
        deny_unknown_outcalls: bool,
        dialable_only: bool,
        emergency: AbstractSet[str],
    ) -> None: ...

@final
class Front:
    def __init__(
        self,
        behind: str,
        *,
        threads: int,
        decides: bool,
        limits: FrontLimits,
        policy: FrontPolicy,
        services: AbstractSet[str],
        clients: tuple[bool, bool, bool] | None,
        buckets: Limits | None,
        seal: tuple[bytes, int] | None,
        log: tuple[tuple[float, float, float], int, int] | None,
        certificate: tuple[bytes, bytes, bytes] | None,
    ) -> None: ...
    def start(self, sockets: list[tuple[int, bool]]) -> None: ...
    def replace(
        self, tenant: str, number: int, revision: str, blob: object, *, closed: bool, emergency: AbstractSet[str]
    ) -> bool: ...
    def set_incomplete(self, incomplete: bool) -> None: ...
    def set_serving(self, serving: bool) -> None: ...
    def remove(self, tenant: str) -> None: ...
    def set_certificate(self, chain: bytes, key: bytes, authorities: bytes) -> None: ...
    def drain(self) -> None: ...
    def end_streams(self) -> None: ...
    def close(self) -> None: ...
    def load(self) -> tuple[int, int]: ...
    def answer(self, *, many: bool, request: bytes, tenants: list[str] | None = None) -> bytes | None: ...
    def counted(self) -> Counts: ...
    def denying(self) -> list[tuple[str, int, str, int, int]]: ...
    def logged(self, seconds: float) -> tuple[bytes, int, int]: ...
    def unknown(self, seconds: float) -> list[tuple[bytes, bytes, bytes | None]]: ...
    def remember(self, digest: bytes, name: str, tenants: list[str] | None, expires: float) -> None: ...
    def forget(self) -> None: ...
    def release(self) -> None: ...
