"""An HTTP server that behaves as wazo-confd and wazo-auth do, and misbehaves when asked to.

What it does as they do, held against the real ones of August 2026, and the place in Wazo's sources:

=========================================================================  =============================================
a list answers ``{total, items}``; parameters that name a column filter    wazo-confd `helpers/restful.py`; xivo-dao
exactly; there is no default limit                                         `resources/utils/search.py`
``uuid=a,b`` of users names several                                        xivo-dao `resources/user/search.py`
a user whose line has several extensions counts several times in           xivo-dao `resources/user/search.py`
``total``; ``view=summary`` lists it as often                              `_search_on_extension`
every user that a list of users loads costs processor time, whatever page  xivo-dao `resources/utils/search.py`
is asked for; ``view=summary`` does not                                    `search_from_query_collated`, `user/view.py`
``recurse=true`` and ``Wazo-Tenant`` choose tenants that wazo-auth shows   wazo-confd `helpers/restful.py`
a group's name is made, people give its label                              wazo-confd `plugins/group/resource.py`
a user may be put into another tenant's group by its number                wazo-confd `plugins/user_group/middleware.py`
a group shows users without those of ``Local/`` channels; a user shows     xivo-dao `alchemy/groupfeatures.py`,
all of its groups                                                          `alchemy/userfeatures.py` `group_members`
a row of ``queuemember`` without its user shows as ``{"priority": 0}``     wazo-confd `plugins/group/schema.py`
a row of ``rightcallmember`` without its user makes the list 500           xivo-dao `alchemy/rightcall.py` `users`
the end of a user's line, by itself or with the line's deletion, ends its  xivo-dao `resources/user_line/persistor.py`
membership; ``user_line_dissociated`` alone tells                          `delete_queue_member`
what is deleted takes its associations with it; one event tells            xivo-dao `alchemy/rightcallmember.py`
events name what changed, and are published after the commit               wazo-confd `_bus.py`; wazo-bus `*/event.py`
while the bus is away an edit is committed, tells nothing and answers 500  wazo-confd `_bus.py` `flush`
a tenant goes from wazo-auth first; wazo-confd keeps its rows until it     wazo-confd `plugins/event_handlers`,
hears of that                                                              `sync_db.py`
a user may have a hundred sessions, then 429                               wazo-auth `max_user_concurrent_sessions`
=========================================================================  =============================================

It is laxer than the real one, which refuses a group's member without a line, another tenant's permission, and a second
thing of the same name. It has no lines or endpoints as such: a renamed endpoint changes rows of ``queuemember``, but
no membership.

Measured there, in seconds of wazo-confd's processor: a user 0.0042 in any list but ``view=summary`` (0.0001), a
permission with three associations 0.0025, a group 0.006, a request 0.02. ``Behaviour.price`` makes a request wait for
the one processor that wazo-confd has (Python's lock), for as long as all that it loads costs, in turns of 5 ms.

As a program it serves an example for demonstrations: ``python tests/support/wazo_simulator.py [--port 9486]``.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from base64 import b64decode
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from wazo_platform import MASTER, WazoPlatform

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

CONFD = "/api/confd/1.1/"
AUTH = "/api/auth/0.1/"
RESOURCES = ("callpermissions", "users", "groups", "outcalls")
_TURN = 0.005
_NO_FILTERS = {"limit", "offset", "order", "direction", "search", "recurse", "view"}


@dataclass
class Behaviour:
    """How the simulator behaves, and what it has seen. ``before`` is called with a resource before it is read."""

    username: str = "rightcall"
    password: str = "s3cret-passw0rd"
    most_sessions: int = 100
    largest_page: int = 0
    chunked: bool = False
    failures: list[str] = field(default_factory=list)
    """What happens to the next requests of lists, one each: a status, ``truncate``, ``drop``, ``garbage``, ``slow``."""
    before: Callable[[str], None] = lambda _: None
    requests: Counter[str] = field(default_factory=Counter)
    queries: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    tokens: dict[str, float] = field(default_factory=dict)
    """Valid tokens, and the times of their ends."""
    sessions_peak: int = 0
    price: Mapping[str, float] = field(default_factory=dict)
    """Seconds of the processor by resource (``summary``: of users in that view), for each thing that is loaded."""
    request_price: float = 0.0
    spent: float = 0.0
    """Seconds of the processor that were paid."""
    core: threading.Lock = field(default_factory=threading.Lock)

    def pay(self, seconds: float) -> None:
        """Uses the one processor for so long, in turns with who else does."""
        self.spent += seconds
        while seconds > 0:
            with self.core:
                time.sleep(min(seconds, _TURN))
            seconds -= _TURN

    def live(self) -> list[str]:
        """The tokens that are good now."""
        return [token for token, end in list(self.tokens.items()) if end > time.time()]


class WazoSimulator:
    """The server as a context manager; its port stays the same when it is stopped and started again."""

    def __init__(self, platform: WazoPlatform, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.platform = platform
        self.behaviour = Behaviour()
        self._port = port
        self._tls = tls
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Listens."""
        simulator = self

        class Handler(_Handler):
            platform = simulator.platform
            behaviour = simulator.behaviour

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_port
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Stops listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def base(self) -> str:
        """Where it is, without a path."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """As a source, without credentials."""
        return f"confd+{self.base}{CONFD.rstrip('/')}"

    def __enter__(self) -> Self:
        """Starts it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops it."""
        self.stop()


class _Refused(Exception):
    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(reason)


class _Handler(BaseHTTPRequestHandler):
    platform: WazoPlatform
    behaviour: Behaviour
    protocol_version = "HTTP/1.1"
    timeout = 30
    disable_nagle_algorithm = True  # an answer is written in two parts

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_DELETE(self) -> None:
        self._answer(self._delete)

    def do_PUT(self) -> None:
        self._answer(self._put)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""

    def _answer(self, handle: Callable[[str, dict[str, str]], object]) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        self.body = self.rfile.read(length) if length else b""
        self.due = 0.0
        try:
            with self.platform.lock:
                answer = handle(parts.path, dict(parse_qsl(parts.query)))
        except _Refused as refused:
            self._send(refused.status, [refused.reason])
        except Exception as error:  # noqa: BLE001 - as wazo-confd answers whatever fails in it
            self._send(500, [f"Unexpected error: {error}"])
        else:
            self.behaviour.pay(self.due)
            self._send(204 if answer is None else 200, answer)

    def _send(self, status: int, value: object) -> None:
        data = b"" if status == 204 else json.dumps(value).encode()
        failure = ""
        if self.command == "GET" and self.behaviour.failures:
            failure = self.behaviour.failures.pop(0)
        if failure.isdecimal():
            status, data = int(failure), b'["it failed"]'
        elif failure == "garbage":
            data = b"<html>a proxy's error page</html>"
        elif failure == "drop":
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if self.behaviour.chunked and data:
            self.send_header("Transfer-Encoding", "chunked")
            data = b"".join(b"1\r\n%c\r\n" % byte for byte in data) + b"0\r\n\r\n"
        else:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if failure == "truncate":
            data = data[: len(data) // 2]
            self.close_connection = True
        self._write(data, slowly=failure == "slow")

    def _write(self, data: bytes, *, slowly: bool) -> None:
        try:
            for at in range(0, len(data), 1 if slowly else len(data) or 1):
                self.wfile.write(data[at : at + (1 if slowly else len(data))])
                self.wfile.flush()
                time.sleep(0.05 if slowly else 0)
        except OSError:
            self.close_connection = True  # whoever asked has lost patience

    # wazo-auth

    def _post(self, path: str, _query: dict[str, str]) -> object:
        if path != f"{AUTH}token":
            raise _Refused(404, "Not found")
        self.behaviour.requests["POST token"] += 1
        scheme, _, credentials = self.headers.get("Authorization", "").partition(" ")
        expected = f"{self.behaviour.username}:{self.behaviour.password}"
        if scheme != "Basic" or b64decode(credentials).decode() != expected:
            raise _Refused(401, "Authentication Failed")
        if len(self.behaviour.live()) >= self.behaviour.most_sessions:
            raise _Refused(429, "Too many sessions")
        token, end = str(uuid4()), time.time() + json.loads(self.body).get("expiration", 7200)
        self.behaviour.tokens[token] = end
        self.behaviour.sessions_peak = max(self.behaviour.sessions_peak, len(self.behaviour.live()))
        metadata = {"uuid": str(uuid4()), "tenant_uuid": MASTER}
        return {
            "data": {"token": token, "utc_expires_at": str(end), "metadata": metadata, "acl": [], "session_uuid": ""}
        }

    def _delete(self, path: str, _query: dict[str, str]) -> object:
        if path.startswith(f"{AUTH}token/"):
            self.behaviour.requests["DELETE token"] += 1
            self.behaviour.tokens.pop(path.rpartition("/")[2], None)
            return {"data": {"message": "success"}}
        self._associate(path, self.platform.dissociate)
        return None

    def _put(self, path: str, _query: dict[str, str]) -> None:
        self._associate(path, self.platform.associate)

    def _associate(self, path: str, change: Callable[[int, str, str | int], None]) -> None:
        """``/users/{uuid}/callpermissions/{id}`` and the like."""
        self._authorized()
        match path.removeprefix(CONFD).split("/"):
            case ["users" as kind, member, "callpermissions", number]:
                change(int(number), kind, member)
            case ["groups" | "outcalls" as kind, member, "callpermissions", number]:
                change(int(number), kind, int(member))
            case _:
                raise _Refused(404, "Not found")

    # lists

    def _get(self, path: str, query: dict[str, str]) -> object:
        self._authorized()
        if path == f"{AUTH}tenants":
            self.behaviour.requests["tenants"] += 1
            self.behaviour.before("tenants")
            items = list(self.platform.tenants.values())
            return {"items": items, "total": len(items), "filtered": len(items)}
        resource = path.removeprefix(CONFD)
        if not path.startswith(CONFD) or resource not in RESOURCES:
            raise _Refused(404, "Not found")
        self.behaviour.requests[resource] += 1
        self.behaviour.queries.append((resource, query))
        self.behaviour.before(resource)
        wanted = {key: _values(key, text) for key, text in query.items() if key not in _NO_FILTERS}
        kind = "summary" if query.get("view") == "summary" else resource
        items = self.platform.rendered(kind, self._tenants(query), wanted)
        self.due = self.behaviour.request_price + self.behaviour.price.get(kind, 0.0) * len(items)
        return self._page(kind, items, query)

    def _authorized(self) -> None:
        token = self.headers.get("X-Auth-Token", "")
        if token not in self.behaviour.live():
            raise _Refused(401, "Unauthorized")

    def _tenants(self, query: dict[str, str]) -> set[str]:
        tenant = self.headers.get("Wazo-Tenant", MASTER)
        if tenant not in self.platform.tenants:
            raise _Refused(401, "Unauthorized tenant")
        if query.get("recurse") == "true" and tenant == MASTER:
            return set(self.platform.tenants)
        return {tenant}

    def _page(self, kind: str, items: list[dict[str, Any]], query: dict[str, str]) -> object:
        extensions = self.platform.extensions
        rows = [item for item in items for _ in range(extensions.get(item.get("uuid", ""), 1))]
        total = len(rows)  # of the rows of a join; things by themselves come once
        items = rows if kind == "summary" else items
        order = query.get("order", "name")
        items.sort(key=lambda item: _place(item.get(order)))
        limit, offset = int(query.get("limit", len(items) or 1)), int(query.get("offset", 0))
        if limit <= 0:
            raise _Refused(400, "Input Error - limit: must be greater than 0")
        limit = min(limit, self.behaviour.largest_page or limit)
        return {"items": items[offset : offset + limit], "total": total}


def _values(key: str, text: str) -> list[str]:
    """What a parameter that names a column asks for."""
    return text.split(",") if key == "uuid" else [text]


def _place(value: object) -> tuple[bool, int, str]:
    return (False, value, "") if isinstance(value, int) else (True, 0, str(value))


def example(platform: WazoPlatform) -> None:
    """A small company, for demonstrations."""
    acme = platform.add_tenant("acme", uuid="54eb71f8-1f4b-4ae4-8730-638062fbe521")
    alice = platform.add_user(acme, uuid="2c34c282-433e-4bb8-8d56-fec14ff7e1e9", password="4242")
    bob = platform.add_user(acme, uuid="5a1d3f5c-9f0b-4a7e-8c1d-2b3c4d5e6f70")
    sales, world = platform.add_group(acme, "sales"), platform.add_outcall(acme, "world")
    for user in (alice, bob):
        platform.join(sales, user)
    international = platform.add_permission(acme, "no-international", ["_00."], password="1234")
    platform.associate(international, "groups", sales)
    premium = platform.add_permission(acme, "no-premium", ["_0900.", "118"])
    platform.associate(premium, "outcalls", world)


def main() -> None:
    """Serves the example until it is interrupted."""
    parser = argparse.ArgumentParser(
        description="A Wazo stack for demonstrations: wazo-confd and wazo-auth on one port."
    )
    parser.add_argument("--port", type=int, default=9486)
    platform = WazoPlatform()
    example(platform)
    with WazoSimulator(platform, port=parser.parse_args().port) as simulator:
        behaviour = simulator.behaviour
        print(f"A simulated Wazo stack listens at {simulator.base}")
        print(
            "rightcall load --source " + simulator.url.replace("//", f"//{behaviour.username}:{behaviour.password}@", 1)
        )
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
