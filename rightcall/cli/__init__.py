"""The command line: ``rightcall serve``, ``load``, ``check`` and the others."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import rich_click as click

from pdp.runtime.version import version
from rightcall.cli.command import CONTEXT_SETTINGS

_COMMANDS: Final = {
    "serve": "rightcall.cli.commands.serve",
    "load": "rightcall.cli.commands.load",
    "validate": "rightcall.cli.commands.validate",
    "prove": "rightcall.cli.commands.prove",
    "diff": "rightcall.cli.commands.diff",
    "check": "rightcall.cli.commands.ask",
    "explain": "rightcall.cli.commands.ask",
    "callers": "rightcall.cli.commands.callers",
    "reach": "rightcall.cli.commands.reach",
    "revisions": "rightcall.cli.commands.revisions",
    "rollback": "rightcall.cli.commands.revisions",
    "unpin": "rightcall.cli.commands.revisions",
    "doctor": "rightcall.cli.commands.doctor",
    "agi": "rightcall.cli.commands.agi",
    "demo": "rightcall.cli.commands.demo",
}


class Commands(click.RichGroup):
    """The commands, each imported when it is used: a question does not wait for what the loader needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order of the help."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command with this name."""
        del ctx
        module = _COMMANDS.get(cmd_name)
        found: click.Command | None = getattr(import_module(module), cmd_name) if module else None
        return found


@click.group(cls=Commands, context_settings=CONTEXT_SETTINGS)
@click.version_option(version(), prog_name="rightcall")
def main() -> None:
    """Decides telephone calls: may this caller dial this extension through this outgoing call?

    Every option can be set by the environment variable shown beside it; the command line prevails.

    Exit codes: 0 done or allowed, 1 denied or challenged, 2 usage, 3 faulty definitions, 4 unreachable.
    """
