"""The tables of docs/metrics.md, and what a registry shows in the same form: type and labels by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

DOCS = Path(__file__).parent.parent / "docs" / "metrics.md"


def documented(heading: str) -> dict[str, tuple[str, list[str]]]:
    """The metrics in the tables between a heading of the second level and the next one."""
    section = DOCS.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| `rightcall_")]
    return {
        name.strip(" `"): (kind.strip(), [label.strip(" `") for label in labels.split(",") if label.strip()])
        for _, name, kind, labels, *_ in rows
    }


def shown(registry: CollectorRegistry) -> dict[str, tuple[str, set[str]]]:
    """Our own metrics of a scrape."""
    found = {}
    for family in registry.collect():
        if family.name.startswith("rightcall_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            found[name] = (family.type, labels)
    return found
