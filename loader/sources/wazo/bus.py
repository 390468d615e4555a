"""Wazo's message bus: immediate notice of changes.

Events are hints: without state, and lost unnoticed while the connection is down. So a new connection is told like an
event: anything may have changed.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, Self
from uuid import uuid4

import pika
import structlog
import tenacity
from pika.exceptions import AMQPError, ChannelClosedByBroker, ProbableAccessDeniedError, ProbableAuthenticationError

from loader.definitions.shapes import canonical_uuid
from loader.errors import SourceError
from loader.sources.wazo.events import EVENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pika.adapters.blocking_connection import BlockingChannel


_log = structlog.get_logger()

EXCHANGE: Final = "wazo-headers"

_LOOK_SECONDS: Final = 0.2
_SHORTEST_WAIT: Final = 0.2
_LONGEST_WAIT: Final = 5.0
_CONNECT_SECONDS: Final = 5.0
_HEARTBEAT_SECONDS: Final = 10
_JOIN_SECONDS: Final = 0.5


class Listener(Protocol):
    """Takes what a bus tells, in the bus's thread."""

    def connected(self) -> None:
        """The bus was connected: from here on no event is missed, and earlier ones may have been."""
        ...

    def heard(self, name: str, tenant: str, body: bytes) -> None:
        """An event has arrived.

        Args:
            name: one of ``EVENTS``.
            tenant: the UUID of the tenant that it names; empty without one.
            body: JSON.
        """
        ...


class Bus:
    """Listens in a separate thread from ``start`` to ``stop``, and reconnects after a loss of the connection.

    Args:
        url: ``amqp://USER:PASSWORD@HOST:5672/`` or ``amqps://…``.
        ca_file: certificates of authorities to trust, PEM; empty: those of the system.
        listener: is told.

    Raises:
        SourceError: the bus's URL, or the file of certificates, cannot be read.
    """

    def __init__(self, url: str, ca_file: str, listener: Listener) -> None:
        self._parameters = _parameters(url, ca_file)
        self._place = f"{self._parameters.host}:{self._parameters.port}"
        self._listener = listener
        self._stop = threading.Event()
        self._connected = threading.Event()
        self._tried = threading.Event()
        self._since = 0.0
        self._thread: threading.Thread | None = None
        # The library logs a lost connection in a dozen lines with tracebacks; here one line does.
        logging.getLogger("pika").setLevel(logging.CRITICAL)

    @property
    def connected(self) -> bool:
        """Whether events arrive, as far as known here."""
        return self._connected.is_set()

    @property
    def connected_since(self) -> float:
        """The time of the last connection, by the monotonic clock: events of earlier changes may be lost."""
        return self._since

    def start(self, seconds: float = 0.0) -> None:
        """Begins to listen, if that was not begun, and waits for the end of the first attempt, at most this time."""
        if self._thread is not None:
            return
        # an earlier thread that has not ended yet keeps its own ones
        self._stop, self._connected = threading.Event(), threading.Event()
        self._tried.clear()
        about = (self._stop, self._connected)
        self._thread = threading.Thread(target=self._work, args=about, name="wazo-bus", daemon=True)
        self._thread.start()
        self._tried.wait(seconds)

    def stop(self) -> None:
        """Ends listening. A thread that is just connecting ends by itself a little later."""
        self._stop.set()
        self._connected.clear()
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)
            self._thread = None

    def __enter__(self) -> Self:
        """Begins to listen."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends listening."""
        self.stop()

    def _work(self, stop: threading.Event, connected: threading.Event) -> None:
        while not stop.is_set():
            retrying = tenacity.Retrying(
                wait=tenacity.wait_random_exponential(multiplier=_SHORTEST_WAIT, max=_LONGEST_WAIT),
                stop=tenacity.stop_when_event_set(stop),
                sleep=tenacity.sleep_using_event(stop),
                before_sleep=self._tell,
                retry_error_callback=lambda _: None,
            )
            connection = retrying(pika.BlockingConnection, self._parameters)
            if connection is None:
                return
            try:
                self._listen(connection, stop, connected)
            except (AMQPError, OSError) as error:
                _log.warning("wazo_bus_lost", bus=self._place, problem=_reason(error))
            finally:
                connected.clear()
                with suppress(AMQPError, OSError):
                    connection.close()
            stop.wait(_SHORTEST_WAIT)

    def _listen(self, connection: pika.BlockingConnection, stop: threading.Event, connected: threading.Event) -> None:
        """Tells of events, until the connection or the consumer ends."""
        channel = connection.channel()
        self._subscribe(channel)
        _log.info("wazo_bus_connected", bus=self._place)
        # in this order: from here on no event is missed, and what came before is read
        self._since = time.monotonic()
        connected.set()
        self._listener.connected()
        self._tried.set()
        while not stop.is_set() and channel.is_open and channel.consumer_tags:
            connection.process_data_events(_LOOK_SECONDS)
        if not stop.is_set():
            _log.warning("wazo_bus_lost", bus=self._place, problem="the broker ended the subscription")

    def _subscribe(self, channel: BlockingChannel) -> None:
        # passive: Wazo declares the exchange, and a reader needs no right to
        channel.exchange_declare(EXCHANGE, exchange_type="headers", passive=True)
        queue = f"rightcall.{uuid4()}"
        channel.queue_declare(queue, exclusive=True, auto_delete=True)
        for event in EVENTS:
            channel.queue_bind(queue, EXCHANGE, arguments={"x-match": "all", "name": event})
        channel.basic_consume(queue, self._on_message, auto_ack=True)

    def _on_message(self, _channel: object, _method: object, properties: pika.BasicProperties, body: bytes) -> None:
        headers: Mapping[str, object] = properties.headers or {}
        name, tenant = headers.get("name"), headers.get("tenant_uuid")
        uuid = canonical_uuid(tenant) if isinstance(tenant, str) else None
        self._listener.heard(str(name), uuid or "", body)

    def _tell(self, state: tenacity.RetryCallState) -> None:
        self._tried.set()
        error = state.outcome.exception() if state.outcome else None
        _log.warning(
            "wazo_bus_unreachable",
            bus=self._place,
            problem=_reason(error),
            advice="changes are noticed by polling meanwhile; check the bus's URL, and that the broker is up",
        )


def _parameters(url: str, ca_file: str) -> pika.URLParameters:
    try:
        if not url.startswith(("amqp://", "amqps://")):
            raise ValueError  # noqa: TRY301 - the library takes other schemes for amqps
        parameters = pika.URLParameters(url)
    except Exception:  # noqa: BLE001 - any error of the library may repeat the URL, which holds a password
        raise SourceError("the bus's URL cannot be read; write it as amqp://USER:PASSWORD@HOST:5672/") from None
    if parameters.ssl_options is not None and ca_file:
        try:
            context = ssl.create_default_context(cafile=ca_file)
        except (OSError, ValueError):
            raise SourceError(f"{ca_file} holds no certificates that can be read; check ca_file") from None
        parameters.ssl_options = pika.SSLOptions(context, parameters.host)
    parameters.heartbeat = _HEARTBEAT_SECONDS
    parameters.socket_timeout = _CONNECT_SECONDS
    parameters.stack_timeout = 2 * _CONNECT_SECONDS
    parameters.blocked_connection_timeout = 2 * _CONNECT_SECONDS
    parameters.connection_attempts = 1
    parameters.client_properties = {"connection_name": "rightcall loader"}
    return parameters


def _reason(error: BaseException | None) -> str:
    """The failure, in few words and without a URL."""
    if isinstance(error, ProbableAuthenticationError | ProbableAccessDeniedError):
        return "the broker refused the user, its password or its virtual host"
    if isinstance(error, ChannelClosedByBroker):
        return f"{error.reply_code} {error.reply_text}"
    return type(error).__name__
