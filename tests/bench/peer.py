"""A server of the comparison, in a process of its own: ``python -m bench.peer KIND SNAPSHOT PORT``.

``grpcio-empty`` returns the request: what the library itself costs. ``grpcio`` and ``core`` are ours, without a secret
key, so that no response needs a challenge of its own.
"""

from __future__ import annotations

import gc
import logging
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import structlog

from pdp.app import Server, ServerSettings
from pdp.metrics.registry import Metrics
from pdp.rules.snapshot.snapshot import decode
from pdp.snapshots.current import CurrentSnapshots
from pdp.transports.choice import Transport

EMPTY = "grpcio-empty"


class Echo(grpc.GenericRpcHandler):
    """Any method: the answer is the question."""

    def service(self, _details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """The handler of a method."""
        return grpc.unary_unary_rpc_method_handler(lambda request, _: request)


def main() -> None:
    """Serves until SIGTERM."""
    kind, snapshot, port = sys.argv[1:]
    address = f"127.0.0.1:{port}"
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if kind == EMPTY:
        empty = grpc.server(ThreadPoolExecutor(8))
        empty.add_generic_rpc_handlers((Echo(),))
        empty.add_insecure_port(address)
        empty.start()
    else:
        current = CurrentSnapshots("bench")
        current.replace(decode(Path(snapshot).read_bytes()))
        settings = ServerSettings(listen=address, http="")
        server = Server(settings, current, Metrics(current, "bench"), transport=Transport(kind))
        server.start()
    gc.collect()
    gc.freeze()
    signal.sigwait([signal.SIGTERM])


if __name__ == "__main__":
    main()
