"""``rightcall lockouts`` and ``unlock``: callers who are locked out after wrong PINs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import rich_click as click
from rich import box
from rich.text import Text

from rightcall.cli.command import command, option
from rightcall.cli.options.asking import only_server_options
from rightcall.cli.options.common import json_option
from rightcall.cli.output import Grid, complain, draw, print_json, say
from rightcall.client.directory import REPORT_TIMEOUT

if TYPE_CHECKING:
    from rightcall.client.blocking import Client
    from rightcall.client.lockouts import Lockouts


@command("rightcall lockouts --target 127.0.0.1:50051")
@option("--tenant", default="", metavar="UUID", help="Only this tenant's.")
@option("--limit", type=click.IntRange(0, 10_000), default=0, show_default="0, 1000", help="At most so many lockouts.")
@only_server_options(REPORT_TIMEOUT)
@json_option
def lockouts(*, asked: Client, tenant: str, limit: int, as_json: bool) -> None:
    """Lists the callers who are locked out after wrong PINs, and the permissions whose PINs are delayed.

    With Redis those of all its servers. The token has to be of a client with the service `lockouts`.
    """
    with asked as client:
        found = client.lockouts(tenant=tenant, limit=limit)
    if as_json:
        print_json(found)
        return
    if not found.lockouts and not found.delays:
        say("Nobody is locked out, and no PIN is delayed.")
        return
    _draw(found)


@command("rightcall unlock 2c34c282-433e-4bb8-8d56-fec14ff7e1e9 --target 127.0.0.1:50051")
@click.argument("caller", default="")
@option("--outcall", default="", metavar="ID", help="Instead: unknown callers through this outcall.")
@option("--permission", default="", metavar="ID", help="Instead: end the delays of this permission.")
@option("--tenant", default="", metavar="UUID", help="The tenant. Without it: the caller's, else the only one.")
@only_server_options(REPORT_TIMEOUT)
@json_option
def unlock(*, asked: Client, caller: str, outcall: str, permission: str, tenant: str, as_json: bool) -> None:
    """Lets a locked-out CALLER, a UUID or an alias, dial PINs again: the wrong ones are forgotten.

    With Redis on all its servers. The server's log says who did it. The token has to be of a client with the service
    `lockouts`.
    """
    if sum(map(bool, (caller, outcall, permission))) != 1:
        raise click.UsageError("name one of CALLER, --outcall and --permission.")
    with asked as client:
        done = client.unlock(caller=caller, outcall=outcall, permission=permission, tenant=tenant)
    if as_json:
        print_json(done)
        return
    what = f"caller {done.caller}" if caller else f"outcall {outcall}" if outcall else f"permission {permission}"
    said = "its wrong PINs are forgotten" if done.lifted else "there was no wrong PIN to forget"
    say(Text(f"{what} of tenant {done.tenant}: {said}"))


def _draw(found: Lockouts) -> None:
    if found.lockouts:
        table = Grid("tenant", "caller", "left", "in a row", box=box.SIMPLE)
        for one in found.lockouts:
            who = one.caller or f"unknown, outcall {one.outcall or 'none'}"
            table.add_row(one.tenant, who, str(timedelta(seconds=one.retry_after)), str(one.lockouts))
        draw(table)
    if found.delays:
        table = Grid("tenant", "permission", "lane", "clients", "left", box=box.SIMPLE)
        for delay in found.delays:
            left = str(timedelta(seconds=delay.retry_after))
            table.add_row(delay.tenant, delay.permission or "all", delay.lane, str(delay.clients), left)
        draw(table)
    if found.more:
        complain(Text("there are more lockouts; give --limit 10000, or one --tenant", style="yellow"))
