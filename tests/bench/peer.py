"""A server of the comparison, in a process of its own: ``python -m bench.peer KIND SNAPSHOT PORT``.

``grpcio-empty`` and ``native-empty`` return the request, or always the same: what the two libraries themselves cost.
``grpcio`` and ``native`` are ours, without a secret key, so that no answer needs a challenge of its own.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import structlog
from pygrpc_native import EVENT_CALL, NativeGrpcFront

from pdp.app import Server, ServerSettings
from pdp.metrics.registry import Metrics
from pdp.rules.model import Decision, Reason, Stage
from pdp.rules.snapshot.snapshot import decode
from pdp.rules.snapshot.verdict import Outcome, Verdict
from pdp.services.messages import response_of
from pdp.snapshots.current import CurrentSnapshots
from pdp.transports.choice import Transport
from rightcall.programs.processes import tune_interpreter

EMPTY, NATIVE_EMPTY = "grpcio-empty", "native-empty"


class Echo(grpc.GenericRpcHandler):
    """Any method: the answer is the question."""

    def service(self, _details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """The handler of a method."""
        return grpc.unary_unary_rpc_method_handler(lambda request, _: request)


def serve_nothing(address: str, snapshot: str) -> None:
    """A front of the native library that answers each CheckCall with the same bytes, and does nothing else."""
    front = NativeGrpcFront(address, [("/rightcall.v1.DecisionService/CheckCall", False)], io_threads=1)
    verdict = Verdict(Decision.DENY, Stage.USER, 1, "as long as another")
    outcome = Outcome(verdict, Reason.PERMISSION, caller_known=True, outcall_known=False)
    response = response_of(decode(Path(snapshot).read_bytes()), outcome).SerializeToString()

    def answer() -> None:
        receive, respond = front.recv_batch, front.respond
        while (events := receive(65_536)) is not None:
            for kind, call_id, *_ in events:
                if kind == EVENT_CALL:
                    respond(call_id, response)

    front.start()
    threading.Thread(target=answer, daemon=True).start()


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
    elif kind == NATIVE_EMPTY:
        serve_nothing(address, snapshot)
    else:
        current = CurrentSnapshots("bench")
        current.replace(decode(Path(snapshot).read_bytes()))
        settings = ServerSettings(listen=address, http="")
        server = Server(settings, current, Metrics(current, "bench"), transport=Transport(kind))
        server.start()
    tune_interpreter()
    signal.sigwait([signal.SIGTERM])


if __name__ == "__main__":
    main()
