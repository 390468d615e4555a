"""The connection of the clients: the same for the blocking and the asynchronous one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

DEFAULT_TARGET = "127.0.0.1:50051"
DEFAULT_TIMEOUT = 1.0
"""Default timeout in seconds. A caller is waiting for a dial tone, so a later answer is of no use."""
MAX_BATCH = 1000
"""Maximum number of questions in one request."""

HEALTH_METHOD = "/grpc.health.v1.Health/Check"
HEALTH_SERVING = b"\x08\x01"
"""A HealthCheckResponse that says SERVING; the request that asks about the whole server is empty."""

# Named one by one: a method that changes something, added later, must not be sent twice.
_REPEATABLE = {
    "rightcall.v1.DecisionService": ("CheckCall", "CheckCalls", "ExplainCall"),
    "rightcall.v1.DirectoryService": ("ListCallers", "ListReach", "GetStatus"),
}
_SERVICE_CONFIG = {
    # Every address that the target's name has is used, so replicas share the calls and one that is gone is skipped.
    # A server that takes requests without responding is left out for a while.
    "loadBalancingConfig": [
        {
            "outlier_detection_experimental": {
                "interval": "2s",
                "baseEjectionTime": "10s",
                "maxEjectionPercent": 50,
                "failurePercentageEjection": {"threshold": 50, "minimumHosts": 2, "requestVolume": 1},
                "childPolicy": [{"round_robin": {}}],
            }
        },
        {"round_robin": {}},
    ],
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
                # CANCELLED comes from gRPC's core when calls come faster than a server can accept.
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ],
    # With more failures than this, retries would only add to what makes the servers fail.
    "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
}

_WITHOUT_RETRIES = {name: value for name, value in _SERVICE_CONFIG.items() if name == "loadBalancingConfig"}

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


def options(*, retry: bool) -> tuple[tuple[str, str | int], ...]:
    """The options of a channel.

    Args:
        retry: whether a question that found no server is sent again, within the deadline.
    """
    if retry:
        return OPTIONS
    once: dict[str, str | int] = {"grpc.service_config": json.dumps(_WITHOUT_RETRIES), "grpc.enable_retries": 0}
    return tuple({**dict(OPTIONS), **once}.items())


def credentials(
    *,
    tls: bool,
    ca_file: str | os.PathLike[str] | None = None,
    certificate_file: str | os.PathLike[str] | None = None,
    key_file: str | os.PathLike[str] | None = None,
    token: str | Callable[[], str] | None = None,
) -> grpc.ChannelCredentials | None:
    """The channel credentials; None: without TLS.

    Args:
        tls: whether to use TLS.
        ca_file: PEM file of the authorities to trust; implies ``tls``. None: gRPC's own.
        certificate_file: PEM file of the client's own certificate chain; implies ``tls``.
        key_file: PEM file of the certificate's private key.
        token: sent with each question, or a function that returns the token of each question.

    Raises:
        OSError: a file cannot be read.
        ValueError: a certificate without its key or the other way round, or a token without TLS.
    """
    if (certificate_file is None) != (key_file is None):
        raise ValueError("a client certificate and its key need each other; give both files, or neither")
    if not tls and ca_file is None and certificate_file is None:
        if token:
            raise ValueError("a token is sent over TLS alone, since whoever sees it has it; connect with TLS")
        return None
    channel = grpc.ssl_channel_credentials(_read(ca_file), _read(key_file), _read(certificate_file))
    if not token:
        return channel
    return grpc.composite_channel_credentials(channel, grpc.metadata_call_credentials(_Bearer(token), "rightcall"))


class _Bearer(grpc.AuthMetadataPlugin):
    """Sends a token with each question."""

    def __init__(self, token: str | Callable[[], str]) -> None:
        self._token = token

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        """Passes on the token, or the error of obtaining one."""
        del context
        try:
            token = self._token if isinstance(self._token, str) else self._token()
        except Exception as error:  # noqa: BLE001 - any error ends the question
            callback((), error)
        else:
            callback((("authorization", f"Bearer {token}"),), None)


def _read(path: str | os.PathLike[str] | None) -> bytes | None:
    if path is None:
        return None
    from pdp.runtime.files import read_regular  # noqa: PLC0415 - of the server's packages only what a client uses

    return read_regular(path)
