"""The language of the code's docstrings, held to docs/glossary.md."""

from __future__ import annotations

import pytest
from prose import FORBIDDEN, docstrings, figures, sources, total

MOST_PRONOUNS, MOST_NOUNS = 8.0, 1.0
"""Per 1,000 words of docstrings: it, its, they, them; and who, whoever, whatever, "what is" in the place of a noun."""


def test_docstrings_name_their_subjects() -> None:
    """Pronouns, and clauses in the place of a noun, make a reader look for what is meant; few are left."""
    counted = total(figures(text) for file in sources() for _, text in docstrings(file))
    pronouns, nouns = counted.per_thousand()
    assert pronouns <= MOST_PRONOUNS
    assert nouns <= MOST_NOUNS


@pytest.mark.parametrize("text", ["Whoever asks.", "It, its, they, them."])
def test_what_is_counted(text: str) -> None:
    """So that the figures above are not 0 by mistake."""
    counted = figures(text)
    assert counted.pronouns + counted.nouns > 0
    assert (FORBIDDEN.search(text) is not None) == text.startswith("Whoever")
