"""What analysis finds in a tenant: mistakes of meaning, and the proofs of expectations, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pdp.rules.analysis.comparison import Comparison
from pdp.rules.analysis.comparison_sentences import ComparisonSentences, without_effect
from pdp.rules.analysis.lint.finding import Mistake
from pdp.rules.analysis.lint.lint import lint
from pdp.rules.analysis.naming import Names
from pdp.rules.analysis.proving import Prover
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


def mistakes(tenant: Tenant) -> list[Mistake]:
    """The mistakes of meaning in a tenant's rules, worst first; those that are meant are left out."""
    try:
        found = lint(tenant)
    except TooManyStatesError as error:
        return [Mistake("not-looked-at", str(error), "use fewer patterns with . or ! inside")]
    meant = [(each.code, set(each.permissions)) for each in tenant.lint]
    open_ = [
        each
        for each in found
        if not any(code == each.code and (not ids or ids & set(each.permissions)) for code, ids in meant)
    ]
    return sorted(open_, key=lambda each: each.rank)


def expectations(tenant: Tenant) -> list[Proven]:
    """The expectations of a tenant, proven or broken."""
    sentences = ProofSentences(tenant, Names(tenant))
    return [
        Proven(proof.truth.value, ": ".join(sentences.headline(proof)), list(sentences.details(proof)))
        for proof in Prover().prove(tenant)
    ]


def difference(old: Tenant, new: Tenant) -> Difference:
    """The effects of an edit, in sentences."""
    name = new.name or old.name or new.uuid
    try:
        comparison = Comparison(old, new)
    except TooManyStatesError as error:
        return Difference(name, [], [], f"the versions cannot be compared: {error}")
    sentences = ComparisonSentences(comparison)
    changes = [
        Change(line.change.widens, sentences.headline(line), sentences.reasons(line)) for line in comparison.lines
    ]
    changes += [Change(widens=False, headline=sentences.password(line), reasons="") for line in comparison.passwords]
    return Difference(name, changes, list(without_effect(old, new)))
