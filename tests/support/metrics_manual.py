"""Makes the tables of docs/metrics.md from the programs' descriptions of their metrics.

``python tests/support/metrics_manual.py`` writes them.
What stands between the marks of a program is made; all else on the page is written by hand.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from loader.metrics.catalog import METRICS as LOADER_METRICS
from pdp.metrics.catalog import METRICS as SERVER_METRICS
from rightcall.agi.catalog import METRICS as AGI_METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import CollectorRegistry

    from pdp.runtime.metric import Description


DOCS: Final = Path(__file__).parents[2] / "docs" / "metrics.md"
PROGRAMS: Final[dict[str, Mapping[str, Description]]] = {
    "server": SERVER_METRICS,
    "loader": LOADER_METRICS,
    "agi": AGI_METRICS,
}


def with_tables(page: str) -> str:
    """The page with the tables as they should be."""
    for program, metrics in PROGRAMS.items():
        begin, end = f"<!-- {program}: begin -->\n", f"<!-- {program}: end -->"
        before, found, rest = page.partition(begin)
        assert found, f"{begin.strip()} is not in the page"
        page = f"{before}{begin}{_tables(metrics)}{end}{rest.partition(end)[2]}"
    return page


def shown(registry: CollectorRegistry) -> dict[str, str]:
    """Our own metrics of a scrape: the type of each."""
    return {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in registry.collect()
        if family.name.startswith("rightcall_")
    }


def undescribed(registry: CollectorRegistry, metrics: Mapping[str, Description]) -> list[str]:
    """The samples of a scrape whose labels, or their values, are not among those described."""
    found = []
    for family in registry.collect():
        if not family.name.startswith("rightcall_"):
            continue
        described = metrics[family.name + ("_total" if family.type == "counter" else "")].labels
        for sample in family.samples:
            labels = {name: value for name, value in sample.labels.items() if name != "le"}
            known = labels.keys() == described.keys() and all(
                isinstance(described[name], str) or value in described[name] for name, value in labels.items()
            )
            if not known:
                found.append(f"{sample.name}{labels}")
    return found


def _tables(metrics: Mapping[str, Description]) -> str:
    rows = ["| metric | type | labels | what it tells |", "|---|---|---|---|"]
    for name, metric in metrics.items():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{name}` | {metric.kind} | {labels} | {' '.join(_texts(name, metric))} |")
    meanings = [_meanings(name, label, metric) for name, metric in metrics.items() for label in _explained(metric)]
    return "\n".join([*rows, "", *meanings])


def _texts(name: str, metric: Description) -> Iterator[str]:
    """What stands in the last column."""
    yield metric.help
    if metric.more:
        yield metric.more
    for label, values in metric.labels.items():
        if isinstance(values, str):
            yield f"`{label}`: {values}."
        elif label in _explained(metric):
            yield f"`{label}`: [its values](#{label}-of-{name})."
        else:
            yield f"`{label}`: {', '.join(f'`{value}`' for value in values)}."


def _explained(metric: Description) -> list[str]:
    """The labels whose values have meanings that must be told."""
    return [label for label, values in metric.labels.items() if not isinstance(values, str) and any(values.values())]


def _meanings(name: str, label: str, metric: Description) -> str:
    values = metric.labels[label]
    assert not isinstance(values, str)
    rows = [f"| {f'`{value}`' if value else '(empty)'} | {meaning} |" for value, meaning in values.items()]
    return "\n".join([f"### `{label}` of `{name}`", "", "| value | meaning |", "|---|---|", *rows, ""])


if __name__ == "__main__":
    DOCS.write_text(with_tables(DOCS.read_text(encoding="utf-8")), encoding="utf-8")
