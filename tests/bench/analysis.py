"""What the analysis of rules costs: a tenant of 10,000 users, 4,500 permissions and 20 outcalls, made at random.

``python -m bench.analysis`` with tests on the path; processor seconds, since other programs may share the machine.
"""

from __future__ import annotations

import random
import resource
import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from pdp.rules.analysis.comparison import Comparison
from pdp.rules.analysis.expectations import Truth
from pdp.rules.analysis.lint.lint import lint
from pdp.rules.analysis.proving import Prover
from pdp.rules.model import CallPermission, Chosen, Decision, Expectation, Group, Mode, Outcall, Tenant, User, Who

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
USERS, PERMISSIONS, PATTERNS, GROUPS, OUTCALLS, EXPECTATIONS = 10_000, 4_500, 486, 200, 20, 20


def _pattern(chance: random.Random) -> str:
    digits = "".join(chance.choice("0123456789") for _ in range(chance.randint(0, 6)))
    kind = chance.random()
    if kind < 0.3:
        return f"{chance.randint(100, 999)}{digits}"
    prefix = chance.choice(["0", "00", "+", "0[1-5]", "00[2-9]"])
    if kind < 0.8:
        return f"_{prefix}{digits[:3]}{chance.choice('.!X')}"
    return f"_{digits}{chance.choice(['XX', 'N.', 'Z!'])}"


def tenant(seed: int = 1) -> Tenant:
    """A tenant whose rules meet and contradict; the same for a seed."""
    chance = random.Random(seed)
    patterns = sorted({_pattern(chance) for _ in range(2 * PATTERNS)})[:PATTERNS]
    users = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(USERS)]
    sets = [chance.sample(range(GROUPS), chance.randint(1, 4)) for _ in range(500)]
    members: dict[int, list[str]] = {number: [] for number in range(GROUPS)}
    for user in users:
        for group in chance.choice(sets):
            members[group].append(user)
    rules = []
    for number in range(1, PERMISSIONS + 1):
        on = chance.random()
        rules.append(
            CallPermission(
                number,
                mode=chance.choice([Mode.ALLOW, Mode.DENY, Mode.DENY]),
                password="1234" if chance.random() < 0.05 else None,
                extensions=tuple(chance.sample(patterns, chance.randint(1, 4))),
                users=(chance.choice(users),) if on < 0.3 else (),
                groups=(str(chance.randrange(GROUPS)),) if 0.3 <= on < 0.85 else (),
                outcalls=(str(chance.randrange(OUTCALLS)),) if on >= 0.85 else (),
            )
        )
    must = frozenset({Decision.DENY, Decision.CHALLENGE})
    expectations = [
        Expectation(f"e{number}", Who(Chosen.EVERYONE), tuple(chance.sample(patterns, 2)), must)
        for number in range(EXPECTATIONS)
    ]
    return Tenant(
        "54eb71f8-1f4b-4ae4-8730-638062fbe521",
        "large",
        tuple(map(User, users)),
        tuple(Group(str(number), users=tuple(its)) for number, its in members.items()),
        tuple(Outcall(str(number)) for number in range(OUTCALLS)),
        tuple(rules),
        expectations=tuple(expectations),
    )


def timed(what: str, work: Callable[[], _T]) -> _T:
    """Does something, and prints what it cost."""
    begun = time.process_time()
    result = work()
    print(f"{what:<48}{time.process_time() - begun:6.2f} s")
    return result


def main() -> None:
    """Measures each analysis once."""
    large = tenant()
    prover = Prover()
    proofs = timed(f"prove {EXPECTATIONS} expectations", lambda: prover.prove(large))
    rules = list(large.call_permissions)
    rules[7] = replace(rules[7], enabled=False)
    edited = replace(large, call_permissions=tuple(rules))
    timed("prove again after an edit", lambda: prover.prove(edited))
    others = tuple(
        replace(rule, extensions=rule.extensions[:1]) if rule.id % 100 == 0 else rule for rule in large.call_permissions
    )
    after = replace(large, call_permissions=others)
    comparison = timed("compare with 45 edited permissions", lambda: Comparison(large, after))
    mistakes = timed("lint", lambda: lint(large))
    broken = sum(proof.truth is Truth.BROKEN for proof in proofs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{broken} broken, {len(comparison.lines):,} changes, {len(mistakes):,} mistakes, peak {peak} MB")


if __name__ == "__main__":
    main()
