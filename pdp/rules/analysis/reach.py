"""The extensions that a caller may dial: every extension, divided by decision.

Reach does not read the automata but the patterns of the permissions that apply, in order of precedence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pdp.rules.analysis.reach_dialled import divide_dialled, sample_dialled
from pdp.rules.analysis.rulings import LENIENCY
from pdp.rules.effort import CHECKPOINT
from pdp.rules.model import Decision, Stage
from pdp.rules.patterns.notation import sample_of, text_of
from pdp.rules.patterns.parser import parse
from pdp.rules.patterns.partition import UNDIVIDED, divide
from pdp.rules.precedence import decision_of, rank
from pdp.rules.snapshot.verdict import EMERGENCY, UNRESTRICTED, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pdp.rules.analysis.reach_dialled import Ranks
    from pdp.rules.dialling import Dialling
    from pdp.rules.patterns.partition import Part
    from pdp.rules.snapshot.snapshot import Snapshot

MAX_WORK = 500_000
"""The limit of pattern steps for one response: about half a second."""


@dataclass(frozen=True, slots=True)
class ReachPattern:
    """Some extensions, as a pattern (see ``notation``), and one of those extensions."""

    pattern: str
    sample: str


@dataclass(frozen=True, slots=True)
class Reach:
    """All extensions with one decision.

    Attributes:
        decision: the decision; None: the extensions have several.
        verdict: the verdict, where requested.
        patterns: sorted; no extension matches two of these.
    """

    decision: Decision | None
    verdict: Verdict | None
    patterns: tuple[ReachPattern, ...]


def reach(
    snapshot: Snapshot | None,
    caller: str,
    outcall: str,
    *,
    emergency: Iterable[str] = (),
    by_permission: bool = False,
    max_patterns: int,
) -> list[Reach]:
    """Every extension, by the decision of ``decide`` with the same arguments.

    Args:
        snapshot: the rules; None: the call belongs to no tenant.
        caller: a user's UUID; empty, or unknown to the tenant: only the outcall's permissions apply.
        outcall: an outgoing call's id; empty, or unknown to the tenant: the call leaves without an outcall.
        emergency: extensions that are allowed before any rule.
        by_permission: whether to divide by the permission that decides, instead of the decision alone.
        max_patterns: the limit of patterns, at least 1.

    Returns:
        Disjoint reaches that together are every extension, sorted. The last one is without a decision where there would
        be too many patterns, or too much work to divide further.
    """
    shown = [(EMERGENCY, text) for text in sorted(emergency)]
    rules = list(_ranked(snapshot, caller, outcall)) if snapshot else []
    ranked = [*shown, *rules]
    # Numbers rise in the order of reaches, so that sorting by label is enough below.
    verdicts = sorted({verdict for verdict, _ in ranked} | {UNRESTRICTED}, key=_told)
    labels = {verdict: number if by_permission else int(verdict.decision) for number, verdict in enumerate(verdicts)}
    if snapshot is not None and snapshot.dialling is not None:
        found = _dialled(snapshot.dialling, rules, [text for _, text in shown], labels, max_patterns)
    else:
        items = [(labels[verdict], parse(text).tokens) for verdict, text in ranked]
        found = divide(items, labels[UNRESTRICTED], max_parts=max_patterns, max_work=MAX_WORK)
    dialled = snapshot is not None and snapshot.dialling is not None
    parts: dict[int, list[Part]] = {}
    for part in found:
        parts.setdefault(part.label, []).append(part)
    undivided = parts.pop(UNDIVIDED, [])
    reaches = [
        _reach(Decision(label), None, parts[label], dialled=dialled)
        if not by_permission
        else _reach(verdicts[label].decision, verdicts[label], parts[label], dialled=dialled)
        for label in sorted(parts)
    ]
    return [*reaches, _reach(None, None, undivided, dialled=dialled)] if undivided else reaches


def _dialled(
    dialling: Dialling,
    rules: Sequence[tuple[Verdict, str]],
    emergency: Sequence[str],
    labels: Mapping[Verdict, int],
    max_patterns: int,
) -> list[Part]:
    """All texts that can be dialled, by the label of the verdict: of two numbers the stricter one's, or the first's."""
    verdicts = [*(verdict for verdict, _ in rules), UNRESTRICTED, EMERGENCY]  # at rank -1

    def label(ranks: Ranks) -> int:
        return labels[min((verdicts[rank] for rank in ranks), key=lambda verdict: LENIENCY[verdict.decision])]

    return divide_dialled(dialling, [text for _, text in rules], emergency, label, max_parts=max_patterns)


def _reach(decision: Decision | None, verdict: Verdict | None, parts: Iterable[Part], *, dialled: bool) -> Reach:
    sample = sample_dialled if dialled else sample_of
    patterns = [ReachPattern(text_of(part.elements), sample(part.elements)) for part in parts]
    return Reach(decision, verdict, tuple(sorted(patterns, key=lambda pattern: pattern.pattern.lstrip("_"))))


def _told(verdict: Verdict) -> tuple[Decision, Stage, int]:
    return verdict.decision, verdict.stage, verdict.permission_id or 0


def _ranked(snapshot: Snapshot, caller: str, outcall: str) -> Iterator[tuple[Verdict, str]]:
    """The patterns of all permissions that apply with the verdict of each, in order of precedence."""
    checkpoint = CHECKPOINT.get()
    groups = (group for group in snapshot.user_groups(caller) if group.enabled)
    for stage, slots in (
        (Stage.USER, set(snapshot.user_permissions(caller))),
        (Stage.GROUP, {slot for group in groups for slot in group.permissions}),
        (Stage.OUTCALL, set(snapshot.outcall_permissions(outcall))),
    ):
        permissions = [permission for permission in map(snapshot.permission, slots) if permission.enabled]
        decided = [(decision_of(one.mode, has_password=one.has_password), one) for one in permissions]
        for decision, permission in sorted(decided, key=lambda pair: rank(stage, pair[0], pair[1].id)):
            verdict = Verdict(decision, stage, permission.id, permission.name)
            for pattern in permission.patterns:
                checkpoint()
                yield verdict, snapshot.pattern(pattern)
