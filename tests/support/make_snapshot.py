"""Makes ``snapshot-v1.bin``: run it once for a new FORMAT_VERSION, never to make a failing test pass.

PYTHONPATH=.:tests:tests/support .venv/bin/python tests/support/make_snapshot.py
"""

from __future__ import annotations

import json
from pathlib import Path

from definitions import tenant_from

from pdp.rules.compiler.compiler import Compiler
from pdp.rules.model import Revision
from pdp.rules.snapshot.blob import FORMAT_VERSION

DATA = Path(__file__).parents[1] / "cases"
SECRET = b"the key of the committed snapshot"


def main() -> None:
    """Writes the blob of ``snapshot.json``."""
    tenant = tenant_from(json.loads((DATA / "snapshot.json").read_text(encoding="utf-8"))["tenant"])
    blob = Compiler(secret=SECRET).compile(tenant, Revision(17, "3fa9c0d2b1e4" + "0" * 52), compiled_at=1.5e9)
    (DATA / f"snapshot-v{FORMAT_VERSION}.bin").write_bytes(blob)


if __name__ == "__main__":
    main()
