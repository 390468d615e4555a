"""The options of the decision log."""

from __future__ import annotations

import sys
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from pdp.rules.model import Decision
from rightcall.cli.command import option
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.redis_client import opened_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pdp.decision_log.log import DecisionLog, Sink
    from pdp.metrics.registry import Metrics
    from pdp.rules.publication.keys import Scope

    Decorated = Callable[..., Any]

_STDOUT = "stdout"
_REDIS_SECONDS = 2.0
"""Seconds that Redis may take for a batch; no response waits for this, but later entries do."""
_PANEL = "Decision log"


def decision_log_options(function: Decorated) -> Decorated:
    """The options of the decision log, passed to the command as ``decision_log``: opens the log for a server."""

    @wraps(function)
    def collected(
        *,
        decision_log: str | None,
        decision_log_sample: Sequence[str],
        decision_log_mask: int,
        decision_log_queue: int,
        decision_log_max_bytes: int,
        decision_log_keep: int,
        decision_log_length: int,
        scope: Scope,
        **params: object,
    ) -> object:
        samples = _samples(decision_log_sample)

        def opened(metrics: Metrics) -> DecisionLog | None:
            if not decision_log:
                return None
            from pdp.decision_log.log import DecisionLog, DecisionLogSettings  # noqa: PLC0415 - most servers keep none

            settings = DecisionLogSettings(samples=samples, mask=decision_log_mask, queue=decision_log_queue)
            if "://" in decision_log:
                sink = _redis(decision_log, scope.prefix, decision_log_length)
            else:
                sink = _file(decision_log, decision_log_max_bytes, decision_log_keep)
            return DecisionLog(sink, settings, metrics)

        return function(decision_log=opened, scope=scope, **params)

    options = (
        option(
            "--decision-log",
            metavar="WHERE",
            panel=_PANEL,
            help="Log each decision as JSON: stdout, the path of a file, or the URL of a Redis for a stream there.",
        ),
        option(
            "--decision-log-sample",
            multiple=True,
            metavar="DECISION=SHARE",
            panel=_PANEL,
            help="Log this share of the decisions of a kind, as in allow=0.01; several may be given. The others: all.",
        ),
        _number("--decision-log-mask", 0, "Characters at the end of extensions that are hidden."),
        _number("--decision-log-queue", 10_000, "Entries that may wait; further ones are dropped and counted.", 1),
        _number(
            "--decision-log-max-bytes",
            100 * 1024 * 1024,
            "Size at which a file is put aside; 0: somebody else rotates it.",
        ),
        _number("--decision-log-keep", 5, "Files put aside that are kept.", 1),
        _number("--decision-log-length", 1_000_000, "Entries that a Redis stream keeps, about.", 1),
    )
    decorated: Decorated = collected
    for add in reversed(options):
        decorated = add(decorated)
    return decorated


def _number(name: str, default: int, text: str, least: int = 0) -> Callable[[Decorated], Decorated]:
    return option(name, type=click.IntRange(min=least), default=default, metavar="NUMBER", panel=_PANEL, help=text)


def _samples(given: Sequence[str]) -> dict[Decision, float]:
    samples: dict[Decision, float] = {}
    for text in given:
        name, _, share = text.partition("=")
        try:
            decision, number = Decision[name.strip().upper()], float(share)
        except (KeyError, ValueError):
            number = -1
        if not 0 <= number <= 1:
            names = ", ".join(decision.name.lower() for decision in Decision)
            raise click.UsageError(
                f"--decision-log-sample {text!r} is no DECISION=SHARE; the decisions are {names}, a share is 0 to 1."
            )
        samples[decision] = number
    return samples


def _file(where: str, max_bytes: int, keep: int) -> Sink:
    from pdp.decision_log.sinks import FileSink, SinkError, TextSink  # noqa: PLC0415 - most servers keep none

    if where == _STDOUT:
        return TextSink(sys.stdout, "standard output")
    try:
        return FileSink(Path(where), max_bytes=max_bytes, keep=keep)
    except SinkError as error:
        raise Failure(str(error), ExitCode.USAGE) from error


def _redis(url: str, prefix: str, length: int) -> Sink:
    from pdp.decision_log.sinks import RedisSink  # noqa: PLC0415 - most servers keep none

    client, name = opened_redis(url, answer_timeout=_REDIS_SECONDS)
    return RedisSink(client, f"{prefix}decisions", name=name, max_length=length)
