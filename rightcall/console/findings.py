"""What analysis finds in a tenant: the proofs of expectations and the effects of an edit, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.analysis.comparison import Comparison
from pdp.rules.analysis.comparison_sentences import ComparisonSentences, without_effect
from pdp.rules.analysis.naming import Names
from pdp.rules.analysis.proving import Prover
from pdp.rules.analysis.rulings import Policy
from pdp.rules.analysis.sentences import ProofSentences
from pdp.rules.analysis.walk import TooManyStatesError

if TYPE_CHECKING:
    from pdp.rules.model import Tenant


class Proven(NamedTuple):
    """An expectation with the result of its proof.

    Attributes:
        truth: ``holds``, ``broken`` or ``not proven``.
        headline: the result, in a sentence.
        details: the violations, an example and a remedy.
    """

    truth: str
    headline: str
    details: list[str]


class Change(NamedTuple):
    """One effect of an edit.

    Attributes:
        widens: whether more is allowed than before.
        headline: the effect, in a sentence.
        reasons: the permissions before and now.
    """

    widens: bool
    headline: str
    reasons: str


class Difference(NamedTuple):
    """The effects of an edit on a tenant.

    Attributes:
        name: the tenant's name.
        changes: the effects, worst first.
        without_effect: the edited parts that change no decision.
        problem: the reason why the effects are not known; empty: they are.
    """

    name: str
    changes: list[Change]
    without_effect: list[str]
    problem: str = ""


class Assumed(NamedTuple):
    """The options of the server that decides by the rules.

    Attributes:
        emergency: the server's emergency numbers.
        policy: further reasons to deny.
    """

    emergency: tuple[str, ...] = ()
    policy: Policy = Policy()


def expectations(tenant: Tenant, assumed: Assumed) -> list[Proven]:
    """The expectations of a tenant, proven or broken."""
    sentences = ProofSentences(tenant, Names(tenant))
    return [
        Proven(proof.truth.value, ": ".join(sentences.headline(proof)), list(sentences.details(proof)))
        for proof in Prover(emergency=assumed.emergency, policy=assumed.policy).prove(tenant)
    ]


def difference(old: Tenant, new: Tenant, assumed: Assumed) -> Difference:
    """The effects of an edit, in sentences."""
    name = new.name or old.name or new.uuid
    try:
        comparison = Comparison(old, new, emergency=assumed.emergency, policy=assumed.policy)
    except TooManyStatesError as error:
        return Difference(name, [], [], f"the versions cannot be compared: {error}")
    sentences = ComparisonSentences(comparison)
    changes = [
        Change(line.change.widens, sentences.headline(line), sentences.reasons(line)) for line in comparison.lines
    ]
    changes += [Change(widens=False, headline=sentences.password(line), reasons="") for line in comparison.passwords]
    return Difference(name, changes, list(without_effect(old, new)))
