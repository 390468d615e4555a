"""``rightcall test``: cases and expectations, run against definitions."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from rich.text import Text

from rightcall.cases.reports import junit, tap
from rightcall.cases.run import CaseRun
from rightcall.cases.table import read_cases, tables_beside
from rightcall.cli.command import command, option
from rightcall.cli.output import print_json, say
from rightcall.cli.rules import read_rules
from rightcall.programs.exits import ExitCode, Failure
from rightcall.programs.local import LocalClient
from rightcall.programs.sources import RulesOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rightcall.cases.run import Coverage, Result

FORMATS = ("human", "json", "tap")
_LOOK_SECONDS = 0.5
_SHOWN = 10


@command("rightcall test examples/company.yaml", "rightcall test --junit report.xml --min-coverage 80 definitions")
@click.argument("path", metavar="PATH")
@option(
    "--cases",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A table of cases; more than once for more. Without it: the files *.cases.csv beside the definitions.",
)
@option("--format", "form", type=click.Choice(FORMATS), default="human", help="How the results are printed.")
@option("--junit", "report", type=click.Path(dir_okay=False, path_type=Path), help="Write them as JUnit's XML too.")
@option(
    "--min-coverage",
    type=click.FloatRange(0, 100),
    default=0,
    metavar="PERCENT",
    help="Fail where fewer of the patterns decide some case.",
)
@option("--watch", is_flag=True, help="Run again whenever the definitions or the cases change, until Ctrl-C.")
@click.pass_context
def test(
    ctx: click.Context,
    *,
    path: str,
    cases: tuple[Path, ...],
    form: str,
    report: Path | None,
    min_coverage: float,
    watch: bool,
) -> None:
    """Runs the test cases beside the definitions at PATH, and their expectations.

    A table of cases is a CSV file: caller, extension, outcall, expect, and optionally permission, tenant and about.
    Exit code 0: all pass; 1: one fails, or fewer patterns are covered than asked for; 3: the definitions have faults.
    """
    while True:
        try:
            good = _run(path, cases, form, report, min_coverage)
        except Failure as failure:
            if not watch:
                raise
            say(Text(str(failure), style="bold red"))
            good = False
        if not watch:
            ctx.exit(ExitCode.DONE if good else ExitCode.NOT_ALLOWED)
        _wait(path, cases)


def _run(path: str, cases: tuple[Path, ...], form: str, report: Path | None, min_coverage: float) -> bool:
    begun = time.perf_counter()
    read = read_cases(cases or tables_beside(path))
    tenants = read_rules(path, RulesOptions()).tenants
    run = CaseRun(LocalClient(path), tenants)
    results = [*run.cases(read), *run.expectations()]
    seconds = time.perf_counter() - begun
    if report is not None:
        report.write_bytes(junit(results, seconds))
    if form == "json":
        print_json(_document(results, run.coverage, seconds))
    elif form == "tap":
        for line in tap(results):
            say(line)
    else:
        _show(results, run.coverage, seconds)
    covered = run.coverage.percent >= min_coverage
    if not covered and form == "human":
        say(Text(f"fewer than {min_coverage:g} % of the patterns are covered", style="bold red"))
    return covered and all(result.passes for result in results)


def _show(results: Sequence[Result], coverage: Coverage, seconds: float) -> None:
    failed = [result for result in results if not result.passes]
    for result in failed:
        say(Text.assemble(("failed: ", "bold red"), f"{result.place}: {result.name}"))
        for problem in result.problems:
            say(f"    {problem}")
    idle = [f"{id_} {text}" for (_, id_, text), covered in coverage.patterns.items() if not covered]
    if idle:
        more = f" and {len(idle) - _SHOWN} more" if len(idle) > _SHOWN else ""
        say(f"no case is decided by: {', '.join(idle[:_SHOWN])}{more}")
    decided, all_ = sum(coverage.permissions.values()), len(coverage.permissions)
    covered = f"permissions {decided} of {all_}, patterns {coverage.percent:.0f} %"
    style = "bold red" if failed else "bold green"
    passed = len(results) - len(failed)
    say(Text.assemble((f"{passed} passed, {len(failed)} failed", style), f" in {seconds:.2f} s; covered: {covered}"))


def _document(results: Sequence[Result], coverage: Coverage, seconds: float) -> dict[str, object]:
    return {
        "passed": sum(result.passes for result in results),
        "failed": sum(not result.passes for result in results),
        "seconds": round(seconds, 3),
        "results": results,
        "coverage": {
            "percent": round(coverage.percent, 1),
            "permissions": [_covered(*key, "", hit=hit) for key, hit in coverage.permissions.items()],
            "patterns": [_covered(*key, hit=hit) for key, hit in coverage.patterns.items()],
        },
    }


def _covered(tenant: str, permission: int, pattern: str, *, hit: bool) -> dict[str, object]:
    found: dict[str, object] = {"tenant": tenant, "permission": permission, "covered": hit}
    return found | ({"pattern": pattern} if pattern else {})


def _wait(path: str, cases: tuple[Path, ...]) -> None:
    """Returns when something changed."""
    seen = _signature(path, cases)
    while _signature(path, cases) == seen:
        time.sleep(_LOOK_SECONDS)


def _signature(path: str, cases: tuple[Path, ...]) -> list[tuple[str, int, int]]:
    place = Path(path.removeprefix("file:"))
    files = [*(place.iterdir() if place.is_dir() else [place]), *(cases or tables_beside(path))]
    found = []
    for file in sorted(files):
        try:
            status = file.stat()
        except OSError:
            continue
        found.append((str(file), status.st_mtime_ns, status.st_size))
    return found
