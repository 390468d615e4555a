"""How a tenant dials: from an extension to the forms of the number that it is, and the emergency numbers.

When rules are compiled, ``DiallingPlan`` makes a section of the snapshot of a numbering table (``loader.numbering``)
and the tenant's patterns. ``Dialling`` opens it where it lies and reads extensions with it: each becomes one or two
readings, and each reading the words that the tenant's automata are walked with. ``Emergency`` tells emergency numbers,
with a tenant's ways to dial or without. What it all means: docs/semantics.md, "How a tenant dials".
"""

from pdp.rules.dialling.dialling import MAX_WORD_LENGTH, Dialling, Words, form_of
from pdp.rules.dialling.emergency import HIDES_CALLER, Emergency
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
]
