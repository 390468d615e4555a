"""The language of docstrings: what is counted, and which words the glossary does without.

``python tests/support/prose.py`` prints the figures of each file, worst first; docs/glossary.md is the law.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGES = ("pdp", "loader", "rightcall")
GENERATED = ROOT / "rightcall" / "v1"

PRONOUNS = re.compile(r"\b(?:it|its|they|them)\b", re.IGNORECASE)
NOUNS = re.compile(
    r"\b(?:whoever|whatever|nobody|somebody)\b|\bwhat (?:is|was|are|were)\b"
    # "who" behind a noun is a pronoun as any; in the place of one it stands behind a preposition, a verb or nothing.
    r"|(?:^|[.;:,(]\s+|\b(?:to|of|for|by|from|with|and|or|as|than|on|in|tells?|knows?|says?)\s+)whom?\b",
    re.IGNORECASE | re.MULTILINE,
)
FORBIDDEN = re.compile(r"^(?:Likewise|As above|See above)\b\.?|\b(?:whoever|whatever|somebody|nobody)\b", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
_CODE = re.compile(r"``[^`]*``|^\s*(?:>>>|\$).*$", re.MULTILINE)


class Figures(NamedTuple):
    """What is counted in a text.

    Attributes:
        words: words of prose, code aside.
        pronouns: it, its, they, them.
        nouns: who, whoever, whatever, nobody, somebody, and "what is" in the place of a noun.
    """

    words: int
    pronouns: int
    nouns: int

    def per_thousand(self) -> tuple[float, float]:
        """Pronouns and nouns per 1,000 words."""
        words = max(1, self.words)
        return 1000 * self.pronouns / words, 1000 * self.nouns / words


def docstrings(file: Path) -> Iterator[tuple[int, str]]:
    """The docstrings of a file, those of constants included, each with its line."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def figures(text: str) -> Figures:
    """What is counted in a text."""
    text = _CODE.sub(" ", text)
    return Figures(len(_WORD.findall(text)), len(PRONOUNS.findall(text)), len(NOUNS.findall(text)))


def sources() -> list[Path]:
    """The product's files, generated ones aside."""
    files = (file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py")))
    return [file for file in files if GENERATED not in file.parents]


def total(counted: Iterator[Figures]) -> Figures:
    """The figures of several texts together."""
    return Figures(*map(sum, zip(*counted, strict=True)))


def main() -> None:
    """Prints the figures of each file and of all together."""
    rows = []
    for file in sources():
        texts = [figures(text) for _, text in docstrings(file)]
        if texts:
            rows.append((total(iter(texts)), file.relative_to(ROOT)))
    for counted, file in sorted(rows, key=lambda row: -(row[0].pronouns + 4 * row[0].nouns)):
        print(f"{counted.words:6} {counted.pronouns:4} {counted.nouns:4}  {file}")
    whole = total(counted for counted, _ in rows)
    pronouns, nouns = whole.per_thousand()
    print(f"{whole.words} words; per 1,000: {pronouns:.1f} pronouns, {nouns:.1f} nouns")


if __name__ == "__main__":
    main()
