"""The table of values in the Helm chart's README, from the comments of values.yaml.

``python tests/support/chart_readme.py`` writes it. A line ``# -- text`` describes the key on the line after it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).parents[2] / "helm" / "rightcall"
README: Final = CHART / "README.md"
_BEGIN, _END = "<!-- values: begin -->", "<!-- values: end -->"
_KEY = re.compile(r"^( *)([A-Za-z][A-Za-z0-9]*):")


def with_table(readme: str) -> str:
    """The README with the table as it should be."""
    before, _, rest = readme.partition(_BEGIN)
    return f"{before}{_BEGIN}\n{_table()}\n{_END}{rest.partition(_END)[2]}"


def undocumented() -> list[str]:
    """The values without a description."""
    described = _descriptions()
    return [path for path in _leaves(_values(), "") if not any(_within(path, one) for one in described)]


def _table() -> str:
    values = _values()
    rows = ["| value | default | what it is |", "|---|---|---|"]
    for path, text in _descriptions().items():
        default: Any = values
        for key in path.split("."):
            default = default[key]
        rows.append(f"| `{path}` | `{json.dumps(default)}` | {text.replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def _descriptions() -> dict[str, str]:
    """By dotted path, in the order of the file."""
    found: dict[str, str] = {}
    parents: list[tuple[int, str]] = []
    text = ""
    for line in (CHART / "values.yaml").read_text().splitlines():
        if line.lstrip().startswith("# -- "):
            text = line.partition("# -- ")[2]
        elif match := _KEY.match(line):
            depth = len(match[1])
            parents = [parent for parent in parents if parent[0] < depth] + [(depth, match[2])]
            if text:
                found[".".join(name for _, name in parents)] = text
            text = ""
    return found


def _values() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return values


def _leaves(value: object, path: str) -> list[str]:
    if isinstance(value, dict) and value:
        return [leaf for key, child in value.items() for leaf in _leaves(child, f"{path}.{key}" if path else key)]
    return [path]


def _within(path: str, described: str) -> bool:
    return path == described or path.startswith(f"{described}.")


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
