"""``rightcall prove``: the proof of the rules' expectations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich_click as click
from rich.text import Text

from pdp.rules.analysis.expectations import Truth
from pdp.rules.analysis.naming import Names, numbers_text, together
from pdp.rules.analysis.proving import Prover
from pdp.rules.analysis.sentences import ProofSentences
from rightcall.cli.command import command, option
from rightcall.cli.options.assumptions import assumption_options
from rightcall.cli.options.common import json_option
from rightcall.cli.options.rules import SOURCES, rules_options
from rightcall.cli.output import print_json, say
from rightcall.cli.rules import chosen_tenants, read_rules
from rightcall.programs.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pdp.rules.analysis.counterexample import Counterexample, Violation
    from pdp.rules.analysis.expectations import Proof
    from pdp.rules.model import Tenant
    from rightcall.cli.options.assumptions import Assumptions
    from rightcall.programs.sources import RulesOptions

_STYLES = {Truth.HOLDS: "bold green", Truth.BROKEN: "bold red", Truth.NOT_PROVEN: "bold yellow"}


@command("rightcall prove company.yaml", "rightcall prove --tenant acme /etc/rightcall/definitions")
@click.argument("path", metavar=SOURCES)
@option("--tenant", default="", metavar="UUID|NAME", help="Only this tenant's.")
@assumption_options
@json_option
@rules_options
@click.pass_context
def prove(
    ctx: click.Context,
    *,
    path: str,
    tenant: str,
    assumed: Assumptions,
    reading: Callable[[], RulesOptions],
    as_json: bool,
) -> None:
    """Proves the expectations of definitions: for every caller, every outcall and every number there is.

    Where one is broken, it says for whom, through which outcalls and for which numbers, with a call that shows it.
    Exit code 0: all hold, or those that do not are not enforced; 3: one that is enforced is broken or not proven, or
    the definitions have faults.
    """
    tenants = chosen_tenants(read_rules(path, reading()), tenant)
    prover = Prover(emergency=assumed.emergency, policy=assumed.policy)
    proofs = [(each, prover.prove(each)) for each in tenants]
    if as_json:
        print_json({"assumed": assumed.as_dict(), "tenants": [_document(*each) for each in proofs]})
    else:
        for each in proofs:
            _show(*each)
        _conclude(proofs, assumed)
    failed = any(proof.fails for _, found in proofs for proof in found)
    ctx.exit(ExitCode.FAULTY if failed else ExitCode.DONE)


def _show(tenant: Tenant, proofs: Sequence[Proof]) -> None:
    if not proofs:
        return
    say(Text(tenant.name or tenant.uuid, style="bold"))
    sentences = ProofSentences(tenant, Names(tenant))
    for proof in proofs:
        said = "" if proof.expectation.enforce or proof.truth is Truth.HOLDS else " (not enforced)"
        came_of_it, of_what = sentences.headline(proof)
        say(Text.assemble("  ", (came_of_it, _STYLES[proof.truth]), f": {of_what}{said}"))
        for line in sentences.details(proof):
            say(f"      {line}")


def _conclude(proofs: Sequence[tuple[Tenant, Sequence[Proof]]], assumed: Assumptions) -> None:
    found = [proof for _, each in proofs for proof in each]
    counts = {truth: sum(proof.truth is truth for proof in found) for truth in Truth}
    if not found:
        say("There are no expectations.")
        return
    parts = [
        f"{count} {truth.value if count == 1 or truth is not Truth.HOLDS else 'hold'}"
        for truth, count in counts.items()
        if count
    ]
    text = f"{len(found)} expectation{'s' if len(found) > 1 else ''}: {', '.join(parts)}"
    worst = next((truth for truth in (Truth.BROKEN, Truth.NOT_PROVEN) if counts[truth]), Truth.HOLDS)
    say(Text.assemble((text, _STYLES[worst]), f"; assumed: {assumed}" if str(assumed) else ""))


def _document(tenant: Tenant, proofs: Sequence[Proof]) -> dict[str, object]:
    sentences = ProofSentences(tenant, Names(tenant))
    return {
        "uuid": tenant.uuid,
        "name": tenant.name,
        "expectations": [
            {
                "name": proof.expectation.name,
                "truth": proof.truth,
                "enforce": proof.expectation.enforce,
                "callers": proof.callers,
                "problem": proof.problem,
                "violations": [row for violation in proof.violations for row in _rows(violation)],
                "counterexample": proof.counterexample and _example(proof.counterexample),
                "sentences": [": ".join(sentences.headline(proof)), *sentences.details(proof)],
            }
            for proof in proofs
        ],
    }


def _rows(violation: Violation) -> list[dict[str, object]]:
    sample = violation.regions.sample(violation.numbers)
    return [
        {
            "callers": list(users),
            "nobody_known": not users,
            "outcalls": list(ways),
            "decisions": [decision.name for decision in violation.decisions],
            "patterns": numbers_text(violation.regions, violation.numbers),
            "shortest": list(sample.shortest) or [violation.regions.example(violation.numbers)],
            "count_of_shortest": sample.shortest_count,
            "counts": list(sample.counts),
        }
        for users, ways in together(violation.pairs)
    ]


def _example(found: Counterexample) -> dict[str, object]:
    stage = found.decided.stage
    return {
        "caller": found.caller,
        "outcall": found.outcall,
        "number": found.extension,
        "decision": found.decided.decision.name,
        "stage": stage.name if stage else "EMERGENCY" if found.decided.decision.name == "ALLOW" else "POLICY",
        "permissions": list(found.decided.permissions),
    }
