"""How the clients connect: the same for the blocking and the asynchronous one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    import os

DEFAULT_TARGET = "127.0.0.1:50051"
DEFAULT_TIMEOUT = 1.0
"""Seconds. Somebody is waiting for a dial tone, so an answer later than this is none."""
MAX_BATCH = 1000
"""Questions that a server takes at once."""

# Named one by one: a method that changes something must not be sent twice because it was added later.
_REPEATABLE = {
    "rightcall.v1.DecisionService": ("CheckCall", "CheckCalls", "ExplainCall"),
    "rightcall.v1.DirectoryService": ("GetStatus",),
}
_SERVICE_CONFIG = {
    # Every address that the target's name has is used, so replicas share the calls and one that is gone is skipped.
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [
                {"service": service, "method": method} for service, methods in _REPEATABLE.items() for method in methods
            ],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.05s",
                "maxBackoff": "0.3s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    # With more failures than this, retries would only add to what makes the servers fail.
    "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
}

OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    # A server that restarts is found again within seconds; gRPC by itself waits up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # A server that vanished without a word is noticed within seconds, by calls that are under way and by unsent data.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # The environment's proxy is for the web; the server of a call's decisions stands nearby.
    ("grpc.enable_http_proxy", 0),
    # The status of many thousand tenants is larger than gRPC's default of 4 MiB.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
)


def credentials(*, tls: bool, ca_file: str | os.PathLike[str] | None) -> grpc.ChannelCredentials | None:
    """What to connect with; None: without TLS.

    Args:
        tls: whether to use TLS.
        ca_file: PEM file of the authorities to trust; implies ``tls``. None: those that gRPC brings.

    Raises:
        OSError: ``ca_file`` cannot be read.
    """
    if ca_file is not None:
        return grpc.ssl_channel_credentials(root_certificates=Path(ca_file).read_bytes())
    return grpc.ssl_channel_credentials() if tls else None
