"""Writes the pages and pictures of docs/ that come from the code: ``python tests/manual/run.py``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from loader.definitions.schema import definitions_schema
from manual import api, automaton, configuration, flows

if TYPE_CHECKING:
    from collections.abc import Callable


def _schema() -> str:
    """The JSON Schema of definitions, as ``rightcall schema`` prints it."""
    return json.dumps(definitions_schema(), indent=2, ensure_ascii=False) + "\n"


DOCS: Final = Path(__file__).parents[2] / "docs"
MADE: Final[dict[str, Callable[[], str]]] = {
    "api.md": api.page,
    "configuration.md": configuration.page,
    "definitions.schema.json": _schema,
    "pictures/call.svg": flows.call_flow,
    "pictures/rules.svg": flows.rules_flow,
    "pictures/profile.svg": automaton.profile_picture,
    "pictures/outcall.svg": automaton.outcall_picture,
}
"""What is made, by path within docs/."""


def main() -> None:
    """Writes what differs."""
    for name, make in MADE.items():
        path = DOCS / name
        text = make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"docs/{name}")


if __name__ == "__main__":
    main()
