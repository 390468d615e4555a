"""The console as a program of its own: an HTTP server for browsers on this machine."""

from __future__ import annotations

import threading
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Self

import uvicorn

from pdp.runtime.address import Address, listening_socket, parse_address
from rightcall.console.access import OpenAccess
from rightcall.console.site import make_site
from rightcall.programs.exits import ExitCode, Failure

if TYPE_CHECKING:
    from rightcall.console.rules import Rules

LISTEN: Final = "localhost:9467"
_BACKLOG: Final = 64


class ConsoleServer:
    """Serves the pages over some rules, in a thread, while the block runs.

    Args:
        rules: the rules.
        listen: ``HOST:PORT``, of this machine alone: the pages show definitions, and know no viewers.

    Raises:
        Failure: the address is reachable from other machines.
        ListenError: the address cannot be listened on.
    """

    def __init__(self, rules: Rules, listen: str = LISTEN) -> None:
        address = parse_address(listen)
        if not _is_of_this_machine(address.host):
            raise Failure(f"{listen} can be reached from other machines; listen on localhost", ExitCode.USAGE)
        self._socket = listening_socket(address, _BACKLOG)
        self.url = f"http://{Address(address.host or 'localhost', self._socket.getsockname()[1])}/"
        config = uvicorn.Config(
            make_site(rules, OpenAccess()),
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            headers=[("Cache-Control", "no-store")],
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="console", daemon=True
        )

    def __enter__(self) -> Self:
        """Begins to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends when the pages under way are answered."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


def _is_of_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
