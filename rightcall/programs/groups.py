"""Reports on many calls at once, by definitions: of a group, through every outcall, or of all numbers of a pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pdp.rules.analysis.counterexample import Pair
from pdp.rules.analysis.lookup import UnclearError
from pdp.rules.analysis.naming import Names, numbers_text, together
from pdp.rules.analysis.proving import asked_of
from pdp.rules.analysis.reachable import shares
from pdp.rules.analysis.regions import Regions
from pdp.rules.analysis.rulings import Rulings, active_permissions, rights_of
from pdp.rules.analysis.walk import TooManyStatesError
from pdp.rules.errors import PatternError
from rightcall.programs.exits import ExitCode, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pdp.rules.model import Decision, Tenant
    from rightcall.client.directory import Reaches
    from rightcall.programs.local import LocalClient


@dataclass(frozen=True, slots=True)
class Calls:
    """Callers and outcalls.

    Attributes:
        tenant: the tenant of all.
        users: UUIDs; None: every user, and callers that are no user.
        ways: ids of outcalls; None: without an outcall.
    """

    tenant: Tenant
    users: tuple[str, ...] | None
    ways: tuple[str | None, ...]

    @classmethod
    def chosen(
        cls, client: LocalClient, *, tenant: str, caller: str = "", group: str = "", outcall: str | None = ""
    ) -> Calls:
        """The calls that the options of a command name.

        Args:
            client: has the definitions.
            tenant: UUID or name of the tenant; empty: the caller's, else the only one.
            caller: the UUID of a user; empty: none is named.
            group: id or name of a group; empty: none.
            outcall: id or name of an outcall; None: each, and none; empty: none.

        Raises:
            Failure: something is unknown or ambiguous.
        """
        lookup = client.lookup
        try:
            found = lookup.chosen_tenant(tenant, caller)
            if found is None:
                raise Failure("there are several tenants; name one with --tenant", ExitCode.USAGE)
            users = lookup.group(group, found).users if group else (caller,) if caller else None
            ways: tuple[str | None, ...] = (*(each.id for each in found.outcalls), None)
            if outcall is not None:
                ways = (lookup.outcall(outcall, found) or None,)
        except UnclearError as error:
            raise Failure(str(error), ExitCode.USAGE) from error
        return cls(found, users, ways)


@dataclass(frozen=True, slots=True)
class GroupReach:
    """What some callers may dial through some outcalls."""

    users: tuple[str, ...]
    ways: tuple[str | None, ...]
    reaches: Reaches


def group_reaches(calls: Calls, ask: Callable[[str, str], Reaches]) -> list[GroupReach]:
    """What each caller may dial through each outcall, with those joined that may dial the same.

    Args:
        calls: the callers and outcalls.
        ask: gives what a caller may dial through an outcall.
    """
    rights = rights_of(calls.tenant, active_permissions(calls.tenant))
    classes: dict[object, list[str]] = {}
    for user in calls.users if calls.users is not None else ("",):
        classes.setdefault(rights.get(user, user), []).append(user)
    pairs: dict[object, list[Pair]] = {}
    samples: dict[object, Reaches] = {}
    for users in classes.values():
        for way in calls.ways:
            reaches = ask(users[0], way or "")
            pairs.setdefault(reaches.reaches, []).append(Pair(tuple(filter(None, users)), way))
            samples.setdefault(reaches.reaches, reaches)
    return [GroupReach(*row, samples[key]) for key, found in pairs.items() for row in together(found)]


@dataclass(frozen=True, slots=True)
class PatternPart:
    """Those numbers of a pattern that get one decision.

    Attributes:
        decision: the name of the decision.
        every: whether it is that of every number of the pattern.
        numbers: the numbers as patterns; empty where there is no short text.
        example: one of the numbers.
    """

    decision: str
    every: bool
    numbers: str
    example: str


@dataclass(frozen=True, slots=True)
class PatternCallers:
    """What some callers are answered when they dial the numbers of a pattern through some outcalls.

    Attributes:
        users: UUIDs; empty: callers that are no user.
        ways: the outcalls; None: without an outcall.
        parts: by decision.
    """

    users: tuple[str, ...]
    ways: tuple[str | None, ...]
    parts: tuple[PatternPart, ...]


def pattern_callers(calls: Calls, pattern: str) -> Iterator[PatternCallers]:
    """The decisions on all numbers of a pattern, for each class of callers; exact.

    Raises:
        Failure: the pattern is invalid, or the tenant has too many patterns to tell apart.
    """
    tenant = calls.tenant
    asked = asked_of(tenant, ())
    try:
        (regions,) = Regions.of_versions([asked._replace(texts=(pattern, *asked.texts))])
    except PatternError as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    except TooManyStatesError as error:
        raise Failure(f"the numbers of a pattern cannot be told apart: {error}", ExitCode.FAULTY) from error
    rulings, numbers = Rulings(tenant, regions), regions.extensions(regions.numbers(pattern))
    pairs: dict[tuple[tuple[Decision, int], ...], list[Pair]] = {}
    for way in calls.ways:
        for row in shares(rulings, numbers, way, calls.users, nobody=calls.users is None):
            if row.users or calls.users is None:
                found = tuple((decision, part) for decision, part in row.by_decision.items() if part)
                pairs.setdefault(found, []).append(Pair(row.users, way))
    for parts, calling in pairs.items():
        told = [
            PatternPart(decision.name, part == numbers, numbers_text(regions, part), regions.telling(part))
            for decision, part in parts
        ]
        for users, ways in together(calling):
            yield PatternCallers(users, ways, tuple(told))


def extension_callers(calls: Calls, client: LocalClient, extension: str) -> Iterator[PatternCallers]:
    """The decisions on one extension, for each class of callers, as a server decides them.

    Args:
        calls: the callers and outcalls.
        client: decides.
        extension: what is dialled.
    """
    pairs: dict[str, list[Pair]] = {}
    chosen = None if calls.users is None else set(calls.users)
    for way in calls.ways:
        users: dict[str, list[str]] = {}
        for page in client.callers(extension=extension, outcall=way or "", tenant=calls.tenant.uuid):
            for each in page.callers:
                if chosen is None or each.caller in chosen:
                    users.setdefault(each.decision.name, []).append(each.caller)
        for decision, found in users.items():
            pairs.setdefault(decision, []).append(Pair(tuple(found), way))
        if calls.users is None:
            answer = client.check(extension=extension, outcall=way or "", tenant=calls.tenant.uuid)
            pairs.setdefault(answer.decision.name, []).append(Pair((), way))
    for decision, calling in pairs.items():
        for row in together(calling):
            yield PatternCallers(*row, (PatternPart(decision, True, extension, extension),))  # noqa: FBT003 - a field


def heading(names: Names, users: Sequence[str], ways: Sequence[str | None]) -> str:
    """The callers and outcalls of a row: ``sales (2 people) through world``."""
    return f"{names.people(users)} {names.ways(ways)}"
