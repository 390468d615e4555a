"""The command line: ``rightcall serve``, ``load``, ``check`` and the others."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import rich_click as click

from pdp.runtime.version import version
from rightcall.cli.command import CONTEXT_SETTINGS, command
from rightcall.programs.exits import ExitCode, Failure

_COMMANDS: Final = {
    "serve": "rightcall.cli.commands.serve",
    "load": "rightcall.cli.commands.load",
    "validate": "rightcall.cli.commands.validate",
    "prove": "rightcall.cli.commands.prove",
    "diff": "rightcall.cli.commands.diff",
    "test": "rightcall.cli.commands.test",
    "replay": "rightcall.cli.commands.replay",
    "decisions": "rightcall.cli.commands.decisions",
    "check": "rightcall.cli.commands.ask",
    "explain": "rightcall.cli.commands.ask",
    "callers": "rightcall.cli.commands.callers",
    "reach": "rightcall.cli.commands.reach",
    "init": "rightcall.cli.commands.init",
    "schema": "rightcall.cli.commands.schema",
    "export": "rightcall.cli.commands.export",
    "revisions": "rightcall.cli.commands.revisions",
    "rollback": "rightcall.cli.commands.revisions",
    "unpin": "rightcall.cli.commands.revisions",
    "shadow": "rightcall.cli.commands.shadow",
    "promote": "rightcall.cli.commands.shadow",
    "drop": "rightcall.cli.commands.shadow",
    "lockouts": "rightcall.cli.commands.lockouts",
    "unlock": "rightcall.cli.commands.lockouts",
    "doctor": "rightcall.cli.commands.doctor",
    "agi": "rightcall.cli.commands.agi",
    "demo": "rightcall.cli.commands.demo",
    "playground": "rightcall.cli.commands.playground",
}


_OURS: Final = frozenset({"pdp", "loader", "rightcall"})


class Commands(click.RichGroup):
    """The commands, each imported on use: ``check`` does not wait for the loader's dependencies."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order of the help."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command with this name."""
        del ctx
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        try:
            found: click.Command = getattr(import_module(module), cmd_name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in _OURS:
                raise
            return _not_installed(cmd_name, error.name or "")
        return found


def _not_installed(name: str, missing: str) -> click.Command:
    """A command that names the extra to install; the client library needs few of the dependencies."""
    advice = f"rightcall {name} needs {missing}, which is not installed; run: pip install 'rightcall[all]'"

    @command()
    def absent() -> None:
        raise Failure(advice, ExitCode.USAGE)

    absent.name, absent.short_help, absent.ignore_unknown_options = name, "(not installed)", True
    absent.allow_extra_args = True
    return absent


@click.group(cls=Commands, context_settings=CONTEXT_SETTINGS)
@click.version_option(version(), prog_name="rightcall")
def main() -> None:
    """Decides telephone calls: may this caller dial this extension through this outgoing call?

    Every option can be set by the environment variable shown beside it; the command line prevails.

    Exit codes: 0 done or allowed, 1 denied or challenged, 2 usage, 3 faulty definitions, 4 unreachable.
    """
