"""The program ``rightcall``, also as ``python -m rightcall``."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line, or names the extra to install: the client library needs none."""
    try:
        from rightcall.cli import main as command_line  # noqa: PLC0415 - dependencies may not be installed
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"click", "rich_click", "rich"}:
            raise
        sys.exit("Error: the command line is not installed; run: pip install 'rightcall[all]'")
    command_line(prog_name="rightcall")


if __name__ == "__main__":
    main()
