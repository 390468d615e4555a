"""What one edit of a large definitions file costs: from the saved file to a reading of it, and until Redis has it.

    PYTHONPATH=.:tests:tests/support .venv/bin/python tests/bench/file_edit.py [PERMISSIONS [json|yaml]]

A loader's inside in this process and a real Redis. Each form is measured in a process of its own, and is one line of
JSON: seconds, and bytes. An edit is one permission in the middle of the file that changes, is added or is removed.
"""

from __future__ import annotations

import json
import logging
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import structlog
import yaml
from redis_server import RedisServer

from bench.facts import resident, timed
from bench.measure import SECRET
from bench.workload import as_definitions, make_workload
from loader.cycle import Synchronizer
from loader.publishing.publish import RedisPublisher
from loader.sources.file import FileSource
from pdp.rules.model import PasswordOverride
from rightcall.redis_url import open_redis

if TYPE_CHECKING:
    from collections.abc import Callable

PERMISSIONS = 100_000
ROUNDS = 3


class Text(NamedTuple):
    """A definitions file in three pieces, of which the middle one is a permission."""

    head: str
    permission: str
    tail: str

    def edits(self, number: int) -> dict[str, str]:
        """The whole text with that permission changed, with another one before it, and without it."""
        changed = self.permission.replace("permission-", f"changed-{number}-")
        added = re.sub(r'(id"?: )\d+', rf"\g<1>{10**9 + number}", self.permission, count=1)
        middles = {"changed": changed, "added": added + self.permission, "removed": ""}
        return {edit: self.head + middle + self.tail for edit, middle in middles.items()}

    @property
    def whole(self) -> str:
        """The text without an edit."""
        return "".join(self)


def make_text(permissions: int, form: str) -> Text:
    """The benchmarks' workload as a file."""
    tenant = as_definitions(make_workload(permissions, calls=0).tenant)
    if form == "json":
        text = json.dumps({"tenants": [tenant]}, indent=1)
        begins, ends = "   {", "   },\n"
    else:
        text = yaml.dump({"tenants": [tenant]}, Dumper=yaml.CSafeDumper, sort_keys=False)
        begins = ends = "  - id: "
    at = text.index(f"permission-{permissions // 2}")
    start, end = text.rindex(begins, 0, at), text.index(ends, at)
    if form == "json":
        end += len(ends)
    return Text(text[:start], text[start:end], text[end:])


def measure(permissions: int, form: str) -> dict[str, float | str]:
    """All figures of one form."""
    text = make_text(permissions, form)
    with tempfile.TemporaryDirectory() as directory, RedisServer() as redis:
        file = Path(directory, f"definitions.{form}")
        file.write_text(text.whole)
        source = FileSource(str(file))
        before = resident("VmRSS")
        result: dict[str, float | str] = {
            "form": form,
            "bytes": file.stat().st_size,
            "first_read_s": timed(source.read)[1],
        }
        if source.read().faulty:
            sys.exit("the workload is faulty")
        result |= _edits(text, file, source.read, "read")
        result["rss_bytes"] = resident("VmRSS") - before
        publisher = RedisPublisher(open_redis(redis.url), "redis", secret=SECRET)
        loader = Synchronizer(source, publisher, secret=SECRET, password_override=PasswordOverride.ALL)
        loader.sync()
        return result | _edits(
            text, file, lambda: len(loader.sync().published) == 1 or sys.exit("no publication"), "published"
        )


def _edits(text: Text, file: Path, work: Callable[[], object], name: str) -> dict[str, float]:
    """The median time of the work after each edit, and after the edit is taken back."""
    times: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        for edit, edited in text.edits(number).items():
            for content in (edited, text.whole):
                file.write_text(content)
                times.setdefault(f"{edit}_{name}_s", []).append(timed(work)[1])
    return {edit: statistics.median(took) for edit, took in times.items()}


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    size = int(sys.argv[1]) if len(sys.argv) > 1 else PERMISSIONS
    if len(sys.argv) > 2:
        print(json.dumps(measure(size, sys.argv[2])))
    else:
        for each in ("json", "yaml"):
            subprocess.run([sys.executable, __file__, str(size), each], check=True)
