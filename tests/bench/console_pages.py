"""How long pages of the console take for a tenant of 100,000 users: ``python tests/bench/console_pages.py [USERS]``.

The first page after an edit reads the rules from their snapshot, which is printed apart; all others have to be within
the limit.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from consoles import fetched
from server import current_of, running_server, snapshot_of

from pdp.rules.model import CallPermission, Group, Outcall, Tenant, User
from rightcall.console.mount import mounted
from rightcall.programs.history import SeenHistory
from rightcall.programs.serving import Served

LIMIT: Final = 0.3
"""Seconds for a page."""
_ROUNDS: Final = 5


def company(users: int) -> Tenant:
    """A tenant of so many users, in groups of fifty."""
    people = [
        User(f"{at:08x}-0000-4000-8000-000000000000", None, f"User {at}", str(10_000 + at)) for at in range(users)
    ]
    groups = [
        Group(str(at), f"group {at}", users=tuple(one.uuid for one in people[at * 50 : at * 50 + 50]))
        for at in range(users // 50)
    ]
    permissions = [
        CallPermission(at + 1, f"permission {at}", extensions=(f"_09{at % 100:02}.",), groups=(group.id,))
        for at, group in enumerate(groups)
    ]
    return Tenant(
        "54eb71f8-1f4b-4ae4-8730-638062fbe521",
        "company",
        users=tuple(people),
        groups=tuple(groups),
        outcalls=(Outcall("1", "national"),),
        call_permissions=tuple(permissions),
    )


def main() -> int:
    """Prints the median of each page; 1: one is over the limit."""
    users = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    tenant = company(users)
    person = tenant.users[users // 2].uuid
    paths = (
        "people", "people?page=1000", "people?q=user+77", "people?q=nobody", f"people/{person}?outcall=1", "rules",
        "rules?q=permission+17&page=3", "numbers?number=09171234", "ask?caller=User+5000&number=09171234&outcall=1",
        "ask?caller=Usr+5000&number=1", "changes", "now?follow=no", "status", "edit",
    )  # fmt: skip
    slow = 0
    with running_server(
        current=current_of(snapshot_of(tenant)), pages=lambda parts: mounted(parts, Served(SeenHistory(parts.whole)))
    ) as running:
        url = f"http://{running.server.http_address}/console"
        print(f"the first page: {_seconds(f'{url}/people'):.3f} s")
        for path in paths:
            first = _seconds(f"{url}/{path}")
            times = sorted(_seconds(f"{url}/{path}") for _ in range(_ROUNDS))
            slow += times[_ROUNDS // 2] > LIMIT
            print(f"{times[_ROUNDS // 2]:.3f} s, at first {first:.3f} s: {path}")
    return 1 if slow else 0


def _seconds(url: str) -> float:
    begun = time.perf_counter()
    assert fetched(url).status == 200
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main())
