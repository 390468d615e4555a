"""Assumptions of an analysis of rules about the servers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any

import rich_click as click

from pdp.rules.analysis.rulings import Policy
from pdp.rules.model import PasswordOverride
from rightcall.cli.command import option
from rightcall.cli.options.common import password_override_option

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorated = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Options of servers that change decisions.

    Attributes:
        emergency: the server's own emergency numbers.
        policy: the server's policy for unknown callers and outcalls.
        override: where a user's own password replaces a permission's.
    """

    emergency: tuple[str, ...] = ()
    policy: Policy = field(default_factory=Policy)
    override: PasswordOverride = PasswordOverride.ALL

    def as_dict(self) -> dict[str, object]:
        """For programs."""
        return {
            "emergency": list(self.emergency),
            "unknown_caller": "deny" if self.policy.deny_unknown_caller else "wazo",
            "unknown_outcall": "deny" if self.policy.deny_unknown_outcall else "wazo",
            "password_override": self.override.value,
        }

    def __str__(self) -> str:
        """The differences from a server without options, for people; empty without any."""
        parts = [f"emergency numbers {', '.join(self.emergency)}"] if self.emergency else []
        parts += ["unknown callers denied"] if self.policy.deny_unknown_caller else []
        parts += ["unknown outcalls denied"] if self.policy.deny_unknown_outcall else []
        parts += ["password override user"] if self.override is PasswordOverride.USER else []
        return "; ".join(parts)


def assumption_options(function: Decorated) -> Decorated:
    """Passed to the command together as ``assumed``."""

    @wraps(function)
    def assuming(
        *, emergency: str, unknown_caller: str, unknown_outcall: str, password_override: str, **params: object
    ) -> object:
        numbers = tuple(number for number in (each.strip() for each in emergency.split(",")) if number)
        assumed = Assumptions(
            numbers, Policy(unknown_caller == "deny", unknown_outcall == "deny"), PasswordOverride(password_override)
        )
        return function(assumed=assumed, **params)

    decorated: Decorated = assuming
    for add in (
        password_override_option,
        option(
            "--unknown-outcall",
            type=click.Choice(("wazo", "deny")),
            default="wazo",
            help="As of the server: how it decides about outcalls that a tenant does not know.",
        ),
        option(
            "--unknown-caller",
            type=click.Choice(("wazo", "deny")),
            default="wazo",
            help="As of the server: how it decides about callers whose UUID no tenant knows.",
        ),
        option("--emergency", default="", metavar="NUMBERS", help="As of the server: its emergency numbers."),
    ):
        decorated = add(decorated)
    return decorated
