"""A source that holds what a test gives it, and small tenants to give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loader.errors import SourceError
from loader.sources.base import Reading
from pdp.rules.model import CallPermission, Tenant, User

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

ACME = "54eb71f8-1f4b-4ae4-8730-638062fbe521"
BOLT = "9f6a2f0e-7c1b-4d53-8a53-0d1f5a1f7b11"
ALICE = "2c34c282-433e-4bb8-8d56-fec14ff7e1e9"
BOB = "5a1d3f5c-9f0b-4a7e-8c1d-2b3c4d5e6f70"
KEY = b"a secret key of the tests' own"


def denying(*extensions: str, tenant: str = ACME, user: str = ALICE, password: str | None = None) -> Tenant:
    """A tenant with one user, who may not dial ``extensions``."""
    permission = CallPermission(id=1, name="no", password=password, extensions=extensions, users=(user,))
    return Tenant(tenant, f"tenant {tenant[:4]}", users=(User(user),), call_permissions=(permission,))


class GivenSource:
    """Holds the tenants that it is given; ``complete`` and ``faulty`` are those of its next reading."""

    name = "given"
    patience = 0.0

    def __init__(self, *tenants: Tenant) -> None:
        self.tenants = tenants
        self.faulty: frozenset[str] = frozenset()
        self.complete = True
        self.broken = False

    def read(self) -> Reading:
        """What it was given, or an error if it is broken."""
        if self.broken:
            raise SourceError("the source cannot be read; repair it")
        tenants = tuple(sorted(self.tenants, key=lambda tenant: tenant.uuid))
        return Reading(tenants, (), self.faulty, self.complete)

    def stale_seconds(self) -> float:
        """Nothing changes unseen."""
        return 0.0

    def watch(self, stop: threading.Event) -> Iterator[None]:
        """A look every 50 ms."""
        while not stop.is_set():
            yield
            stop.wait(0.05)

    def close(self) -> None:
        """Nothing is open."""
