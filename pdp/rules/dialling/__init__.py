"""Dialling plans: from an extension to the forms of its number, and the emergency numbers.

When rules are compiled, ``DiallingPlan`` makes a section of the snapshot from a numbering table (``loader.numbering``)
and the tenant's patterns. ``Dialling`` opens that section in place and reads extensions: each becomes one or two
readings, and each reading the words that the tenant's automata are walked with. ``Emergency`` recognises emergency
numbers, with or without a tenant's dialling plan. docs/semantics.md, "How a tenant dials", has the meaning.
"""

from pdp.rules.dialling.dialling import MAX_WORD_LENGTH, Dialling, Words, form_of
from pdp.rules.dialling.emergency import HIDES_CALLER, Emergency, is_among
from pdp.rules.dialling.folding import Undiallable, fold
from pdp.rules.dialling.plan import DiallingPlan

__all__ = [
    "HIDES_CALLER",
    "MAX_WORD_LENGTH",
    "Dialling",
    "DiallingPlan",
    "Emergency",
    "Undiallable",
    "Words",
    "fold",
    "form_of",
    "is_among",
]
