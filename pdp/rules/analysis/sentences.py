"""The results of proofs, in sentences. Names stand as their owners wrote them, and are not yet fit for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.rules.analysis.expectations import Truth
from pdp.rules.analysis.naming import numbers_text, together
from pdp.rules.model import Chosen, Decision, Mode, Stage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pdp.rules.analysis.counterexample import Counterexample, Violation
    from pdp.rules.analysis.expectations import Proof
    from pdp.rules.analysis.naming import Names
    from pdp.rules.model import CallPermission, Tenant

_VERBS = {Decision.ALLOW: "allowed", Decision.DENY: "denied", Decision.CHALLENGE: "challenged"}
_MOST_ROWS = 5
_SHORT = 4
"""Digits that an emergency number has at most."""


class ProofSentences:
    """Puts the proofs of one tenant into words.

    Args:
        tenant: the tenant.
        names: the names of the tenant's entities.
    """

    def __init__(self, tenant: Tenant, names: Names) -> None:
        self._permissions = {each.id: each for each in tenant.call_permissions}
        self._names = names

    def headline(self, proof: Proof) -> tuple[str, str]:
        """The result and the expectation: ``no-premium is broken``, ``_0900. must be denied``."""
        expectation = proof.expectation
        if proof.truth is Truth.NOT_PROVEN:
            return f"{expectation.name} is not proven", proof.problem
        if not proof.callers:
            return f"{expectation.name} holds", "it speaks of no caller"
        if proof.truth is Truth.HOLDS:
            return f"{expectation.name} holds", self._spoken_of(proof)
        must = f"{', '.join(expectation.dial)} must be {_must(expectation.must)}"
        return f"{expectation.name} is broken", must

    def details(self, proof: Proof) -> Iterator[str]:
        """The violations, most callers first; then an example, and a remedy."""
        rows = [
            (users, f"{self._names.people(users)} {self._names.ways(ways)}: {self._decided(violation)}")
            for violation in proof.violations
            for users, ways in together(violation.pairs)
        ]
        rows.sort(key=lambda row: -len(row[0]))
        yield from (text for _, text in rows[:_MOST_ROWS])
        if len(rows) > _MOST_ROWS:
            yield f"and {len(rows) - _MOST_ROWS:,} more rows of callers and ways out"
        if proof.counterexample is not None:
            yield self.example(proof.counterexample)
            yield f"Remedy: {self.remedy(proof, proof.counterexample)}"

    def example(self, found: Counterexample) -> str:
        """One call that breaks the expectation: caller, extension, and the permissions that decide."""
        text = f"E.g. {self._names.user(found.caller)} dials {found.extension}{self._through(found.outcall)}"
        text += f" → {found.decided.decision.name}{self._because(found)}"
        if found.outranked:
            first = found.outranked[0]
            rule = self._names.rule(first, found.outranked_stage, found.caller, found.outcall)
            same = found.outranked_stage is found.decided.stage
            text += f", which prevails over {rule}" if same else f", before {rule} is looked at"
        return text + "."

    def remedy(self, proof: Proof, found: Counterexample) -> str:
        """The remedies for an administrator to choose from."""
        decided = found.decided
        if decided.stage is None:
            if decided.decision is Decision.ALLOW:
                return f"leave {found.extension} out of the expectation; emergency numbers cannot be denied."
            return "the server denies callers that it does not know; expect that."
        return self._preferred(found) if found.outranked else self._supplied(proof, found)

    def _supplied(self, proof: Proof, found: Counterexample) -> str:
        """The remedy where no permission of the call gives a right decision."""
        must, decided = proof.expectation.must, found.decided
        if Decision.ALLOW in must and _is_short(found.extension):
            return f"list {found.extension} under emergency, or allow it on the users themselves."
        other = self._permissions.get(found.elsewhere[0]) if found.elsewhere else None
        if other is not None:
            return self._applied(other, found)
        if decided.permissions:
            return f"take these extensions out of {self._names.permission(decided.permissions[0])}."
        return f"add a permission by which these extensions are {_must(must)}."

    def _preferred(self, found: Counterexample) -> str:
        """The remedy by which a permission that applies to the call would decide the call."""
        prevailing = self._names.permission(found.decided.permissions[0])
        better = self._names.permission(found.outranked[0])
        if found.decided.stage is Stage.USER or not found.caller:
            return f"take these extensions out of {prevailing}; {better} decides them then."
        return f"take these extensions out of {prevailing}, or put {better} on the users themselves."

    def _applied(self, permission: CallPermission, found: Counterexample) -> str:
        """The remedy by which a permission with a right decision would apply to the call."""
        name = self._names.permission(permission.id)
        if not permission.enabled:
            return f"enable {name}."
        if permission.outcalls and found.outcall is not None and found.outcall not in permission.outcalls:
            return f"add outcall {self._names.outcall(found.outcall)} to {name}."
        if not found.caller:
            through = "an outcall" if found.outcall is None else f"outcall {self._names.outcall(found.outcall)}"
            return f"add {through} to {name}; no other rule applies to callers that are no user."
        if permission.mode is Mode.ALLOW:
            return f"put {name} on the users themselves."
        return f"add these callers, or a group of theirs, to {name}."

    def _spoken_of(self, proof: Proof) -> str:
        expectation = proof.expectation
        if expectation.who.chosen is Chosen.NOBODY_KNOWN:
            callers = "for callers that are no user"
        else:
            callers = f"for {proof.callers:,} caller{'s' if proof.callers > 1 else ''}"
        return f"{', '.join(expectation.dial)} {_must(expectation.must)} {callers}"

    def _decided(self, violation: Violation) -> str:
        text = numbers_text(violation.regions, violation.numbers)
        text = text or f"some of them, as {violation.regions.telling(violation.numbers)}"
        return f"{text} → {' or '.join(each.name for each in violation.decisions)}"

    def _through(self, outcall: str | None) -> str:
        return " through no outcall" if outcall is None else f" through {self._names.outcall(outcall)}"

    def _because(self, found: Counterexample) -> str:
        decided = found.decided
        if decided.stage is None:
            allowed = decided.decision is Decision.ALLOW
            return " by the emergency list" if allowed else " by the server's policy about unknown callers"
        if not decided.permissions:
            return ": no permission speaks of it"
        rule = self._names.rule(decided.permissions[0], decided.stage, found.caller, found.outcall)
        more = len(decided.permissions) - 1
        return f" by {rule}" + (f" and {more} more" if more else "")


def _must(decisions: Collection[Decision]) -> str:
    return " or ".join(_VERBS[decision] for decision in Decision if decision in decisions)


def _is_short(extension: str) -> bool:
    return extension.isdecimal() and len(extension) <= _SHORT
