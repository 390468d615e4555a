"""``rightcall schema``: the JSON Schema of definitions."""

from __future__ import annotations

from loader.definitions.schema import definitions_schema
from rightcall.cli.command import command
from rightcall.cli.output import print_json


@command("rightcall schema > definitions.schema.json")
def schema() -> None:
    """Prints the JSON Schema of definitions, with which editors complete keys and mark mistakes.

    Editors find it by a line at the top of the file: # yaml-language-server: $schema=definitions.schema.json
    """
    print_json(definitions_schema())
