"""Precedence: the decision of a permission that matches, and which of several that match prevails.

The one implementation of precedence (docs/semantics.md): of the stages the first; within a stage an allow over a deny
without a password, that over a deny with one; of equals the one with the highest id. Compiler, explanations and
analysis rank by these numbers.
"""

from __future__ import annotations

from typing import Final

from pdp.rules.model import Decision, Mode, Stage

STAGES: Final = (Stage.USER, Stage.GROUP, Stage.OUTCALL)
"""The stages in which permissions take part, in order."""

_STRENGTH: Final = {Decision.ALLOW: 0, Decision.DENY: 1, Decision.CHALLENGE: 2}
_HIGHEST_ID: Final = 2**64 - 1


def decision_of(mode: Mode, *, has_password: bool) -> Decision:
    """The decision of a permission of this mode that matches and prevails."""
    if mode is Mode.ALLOW:
        return Decision.ALLOW
    return Decision.CHALLENGE if has_password else Decision.DENY


def rank(stage: Stage, decision: Decision, permission: int) -> int:
    """The rank of a permission that matches, among all that match: the lowest prevails.

    Args:
        stage: the stage in which the permission applies.
        decision: the permission's decision, from ``decision_of``.
        permission: the permission's id, 0 to 2**64 - 1.
    """
    return (stage * 4 + _STRENGTH[decision]) << 64 | _HIGHEST_ID - permission
