"""Common parts of all commands: options with an environment variable each, and the handling of failures."""

from __future__ import annotations

import inspect
import traceback
from typing import TYPE_CHECKING, Any, Final

import rich_click as click
from click.core import ParameterSource
from click.exceptions import Exit

from rightcall.client.errors import QuestionError, RightcallError
from rightcall.programs.exits import ExitCode, Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorated = Callable[..., Any]


CONTEXT_SETTINGS: Final = {
    "help_option_names": ["-h", "--help"],
    "rich_help_config": click.RichHelpConfiguration(
        options_table_column_types=["required", "opt_long_metavar", "help"],
        envvar_string="[{}]",
        text_paragraph_linebreaks="\n\n",
        max_width=120,
    ),
}


class Command(click.RichCommand):
    """A command whose errors are one line with a remedy, and whose exit codes are ``ExitCode``."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command and turns exceptions into a message and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, Exit, click.Abort, BrokenPipeError):
            raise
        except Failure as failure:
            for line in failure.details:
                _complain(line)
            _fail(ctx, str(failure), failure.code)
        except QuestionError as error:
            _fail(ctx, str(error), ExitCode.USAGE)
        except RightcallError as error:
            _fail(ctx, str(error), ExitCode.UNREACHABLE)
        except KeyboardInterrupt:
            ctx.exit(ExitCode.INTERRUPTED)
        except Exception as error:  # noqa: BLE001 - an exit code of 1 would read as "denied"
            if not _logs_json(ctx):
                _complain(*traceback.format_exc().splitlines())
            _fail(ctx, f"a defect of Rightcall's own: {error!r}; please report it", ExitCode.DEFECT)


def command(*examples: str, options_first: bool = True) -> Callable[[Decorated], click.RichCommand]:
    """Makes a ``Command`` from a function; the help is the function's docstring, then the examples verbatim.

    Args:
        examples: command lines.
        options_first: whether the options without a panel stand before all panels, instead of behind them.
    """

    def made(function: Decorated) -> click.RichCommand:
        text = inspect.cleandoc(function.__doc__ or "")
        if examples:
            text = "\n".join((text, "", "\b", *(f"$ {example}" for example in examples)))
        shown = click.option_panel("Options")(function) if options_first else function
        return click.command(cls=Command, context_settings=CONTEXT_SETTINGS, help=text)(shown)

    return made


def option(name: str, *names: str, **attributes: object) -> Callable[[Decorated], Decorated]:
    """An option whose environment variable is ``RIGHTCALL_`` and the name in capitals."""
    variable = "RIGHTCALL_" + name.removeprefix("--").replace("-", "_").upper()
    attributes.setdefault("show_default", attributes.get("default") not in (None, "", False))
    attributes.setdefault("envvar", variable)
    return click.option(name, *names, show_envvar=True, **attributes)  # type: ignore[arg-type] # click's own attributes


def one_of(ctx: click.Context, *names: str) -> str:
    """The given one of several options; the command line prevails over the environment.

    Returns:
        The parameter's name; empty if none was given.

    Raises:
        UsageError: more than one was given in the same place.
    """
    given = [name for name in names if ctx.params[name] is not None]
    typed = [name for name in given if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    chosen = typed or given
    if len(chosen) > 1:
        options = " and ".join("--" + name.replace("_", "-") for name in chosen)
        raise click.UsageError(f"{options} exclude each other; give one of them.", ctx)
    return chosen[0] if chosen else ""


def _fail(ctx: click.Context, message: str, code: ExitCode) -> None:
    if ctx.params.get("as_json"):
        from rightcall.cli.output import print_json  # noqa: PLC0415 - only a failure waits for the import

        print_json({"error": message, "exit_code": int(code)})
    if _logs_json(ctx):
        _log_failure(ctx, message, code)
    else:
        _complain(("Error: ", message))
    ctx.exit(code)


def _complain(*lines: str | tuple[str, str]) -> None:
    """Prints lines; of a pair, the first half stands out."""
    from rich.text import Text  # noqa: PLC0415 - only a failure waits for the import

    from rightcall.cli.output import complain  # noqa: PLC0415 - only a failure waits for the import

    complain(*(line if isinstance(line, str) else Text.assemble((line[0], "bold red"), line[1]) for line in lines))


def _log_failure(ctx: click.Context, message: str, code: ExitCode) -> None:
    """Logs the error as JSON, so that every line on standard error is JSON."""
    import structlog  # noqa: PLC0415 - a request to a server need not wait for the import

    from rightcall.programs import logs  # noqa: PLC0415 - a request to a server need not wait for the import

    logs.configure("json", str(ctx.params["log_level"]))
    structlog.get_logger().error("failed", problem=message, exit_code=int(code), exc_info=code is ExitCode.DEFECT)


def _logs_json(ctx: click.Context) -> bool:
    return ctx.params.get("log_format") == "json"
