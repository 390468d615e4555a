"""docs/configuration.md: every option of every command, with its variable, its default and what it means."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Final

import click

from rightcall.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

SEE: Final = {
    "--auth": "[security](security.md)",
    "--clients": "[the file](security.md#the-clients-file)",
    "--decision-log": "[decision log](decision-log.md)",
    "--definitions": "[format](definitions.md)",
    "--challenge-seconds": "[challenges](challenges.md)",
    "--http-url": "[AuthZEN](authzen.md)",
    "--password-override": "[semantics](semantics.md#passwords)",
    "--redis": "[Redis URLs](cli.md#redis-urls)",
    "--secret-key-file": "[the secret key](cli.md#the-secret-key)",
    "--source": "[files](definitions.md), [Wazo Platform](wazo.md), [its database](postgresql.md)",
    "--tracing": "[tracing](tracing.md)",
    "--transport": "[the transports](scaling.md#the-transports)",
    "--workers": "[the core](scaling.md#the-core)",
}
"""Where there is more about an option, by its name."""

_SPECIAL: Final = re.compile(r"[*|<>\[\]]")
_CODE: Final = re.compile(r"--[a-z][a-z-]+|\bRIGHTCALL_[A-Z_]+|\*\.DOMAIN|(?<![\w/])/[a-z]+\b|\b[a-z+]+://\S+[^\s:,.;]")

_HEAD: Final = """\
# Configuration

Every option of every command. This page is made from the code (`make docs`) and says the same as
`rightcall COMMAND --help`. What the commands do, which of a variable and an option prevails, and how Redis URLs and
secret keys are written: [the command line](cli.md).

Three secrets are never options, since everybody on a machine can read those. A file holds them, which
`--secret-key-file`, `--wazo-password-file` and `--token-file` name, or else a variable: `RIGHTCALL_SECRET_KEY`,
`RIGHTCALL_WAZO_PASSWORD` and `RIGHTCALL_TOKEN`.

Not here: the rules themselves ([definitions](definitions.md)), the values of the
[Helm chart](../helm/rightcall/README.md), and the file of `--clients` ([security](security.md#the-clients-file)).
"""


def commands() -> dict[str, click.Command]:
    """The commands by name, in the order of the help."""
    context = click.Context(main)
    found = {name: main.get_command(context, name) for name in main.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def options_of(command: click.Command) -> list[click.Option]:
    """The options of a command, without ``--help``."""
    return [option for option in command.params if isinstance(option, click.Option) and option.name != "help"]


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    parts += [part for name, command in commands().items() for part in _command(name, command)]
    parts += ["## All variables\n", _variables()]
    return "\n".join(parts).rstrip() + "\n"


def _command(name: str, command: click.Command) -> Iterator[str]:
    arguments = "".join(
        f" {part.make_metavar(click.Context(command))}" for part in command.params if _is_argument(part)
    )
    yield f"## rightcall {name}\n"
    paragraph = " ".join((command.help or "").partition("\n\n")[0].split())
    summary = _marked_up(paragraph.partition(". ")[0].rstrip("."))
    yield f"`rightcall {name}{arguments} [OPTIONS]`: [{summary}](cli.md#rightcall-{name}).\n"
    by_panel = sorted(options_of(command), key=lambda option: _panel(option) != "")
    for panel, options in groupby(by_panel, key=_panel):
        if panel:
            yield f"**{panel}**\n"
        rows = ["| option | variable | default | |", "|---|---|---|---|", *map(_row, options)]
        yield "\n".join(rows) + "\n"


def _is_argument(part: click.Parameter) -> bool:
    return isinstance(part, click.Argument)


def _panel(option: click.Option) -> str:
    panel = getattr(option, "panel", None)
    return str(panel) if panel else ""


def _row(option: click.Option) -> str:
    name = option.opts[0]
    meaning = [_marked_up(option.help or "")]
    if isinstance(option.type, click.Choice):
        meaning.append(f"One of {', '.join(f'`{choice}`' for choice in option.type.choices)}.")
    if isinstance(option.type, click.IntRange) and option.type.max is not None:
        meaning.append(f"At most {option.type.max:,}.")
    if option.multiple:
        meaning.append("The variable holds several with spaces in between.")
    if name in SEE:
        meaning.append(f"See {SEE[name]}.")
    variables = " or ".join(f"`{variable}`" for variable in variables_of(option))
    return f"| `{_usage(option)}` | {variables} | {_default(option)} | {' '.join(meaning)} |"


def variables_of(option: click.Option) -> list[str]:
    """The environment variables of an option."""
    return [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())


def _usage(option: click.Option) -> str:
    """The option as it is written, with what it takes."""
    if option.is_flag:
        return option.opts[0]
    if isinstance(option.type, click.Choice):
        return f"{option.opts[0]} NAME"
    if option.metavar:
        return f"{option.opts[0]} {option.metavar}".replace("|", "\\|")
    number = {"integer": "NUMBER", "integer range": "NUMBER", "float": "NUMBER", "float range": "NUMBER"}
    return f"{option.opts[0]} {number.get(option.type.name, option.type.name.upper())}"


def _default(option: click.Option) -> str:
    """What is in force without the option: as the help shows it, else its value."""
    if option.required:
        return "required"
    if isinstance(option.show_default, str):
        return option.show_default
    value = option.to_info_dict()["default"]
    if option.is_flag:
        return "on" if value else "off"
    if value in (None, "", ()):
        return ""
    return f"{value:g}" if isinstance(value, float) else f"`{value}`" if isinstance(value, str) else str(value)


def _variables() -> str:
    """A table of all variables, each with the commands that read it."""
    readers: dict[str, list[str]] = {}
    for name, command in commands().items():
        for option in options_of(command):
            for variable in variables_of(option):
                readers.setdefault(variable, []).append(f"[{name}](#rightcall-{name})")
    rows = [f"| `{variable}` | {', '.join(names)} |" for variable, names in sorted(readers.items())]
    return "\n".join(["| variable | read by |", "|---|---|", *rows]) + "\n"


def _marked_up(text: str) -> str:
    """Help text as Markdown: options, variables and URLs as code, the rest as it stands."""
    pieces: list[str] = []
    at = 0
    for match in _CODE.finditer(text):
        pieces += (_SPECIAL.sub(r"\\\g<0>", text[at : match.start()]), f"`{match[0]}`")
        at = match.end()
    return "".join((*pieces, _SPECIAL.sub(r"\\\g<0>", text[at:])))
