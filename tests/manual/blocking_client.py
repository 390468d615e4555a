"""Makes the blocking client from the text of the asynchronous one, so that the two cannot differ.

``python tests/manual/blocking_client.py``, which ``make client`` calls, writes it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
TEXTS: Final = {
    "rightcall/aio.py": "rightcall/client/blocking.py",
    "rightcall/client/directory_aio.py": "rightcall/client/directory_blocking.py",
    "rightcall/client/lockouts_aio.py": "rightcall/client/lockouts_blocking.py",
}
"""By the file that is written by hand: the one that is made from it."""

_CHANGES: Final = (
    (
        r"The asynchronous client\. The blocking one, .*?\.\"",
        'The blocking client, made from ``rightcall.aio`` by ``make client``."',
    ),
    (r"the asynchronous client's part", "the blocking client's part, made by ``make client``"),
    (r" *# noqa: ASYNC109[^\n]*", ""),
    (r"import grpc\nimport grpc\.aio\n", "import grpc\n"),
    (r"import grpc\.aio\n", "import grpc\n"),
    (r"grpc\.aio\.AioRpcError", "grpc.RpcError"),
    (r"grpc\.aio\.", "grpc."),
    (r"\basync (def|for|with)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\basync_exchange\b", "exchange"),
    (r"\bAsync(Iterable|Iterator|DirectoryQuestions|LockoutRequests)\b", r"\1"),
    (r"(Directory|Lockout)ServiceAsyncStub", r"\1ServiceStub"),
    (r"(directory|lockouts)_aio", r"\1_blocking"),
    (r"__a(enter|exit)__", r"__\1__"),
    (r"from rightcall\.aio import", "from rightcall import"),
    (r"tasks of one event loop", "threads"),
    (r"\n    Make it where the event loop runs\.\n", ""),
    (r"Questions are taken only", "Questions are taken in another thread, and only"),
    (r'__all__ = \["Client"\]\n\n', ""),
)
"""Patterns and what takes the place of a match, in this order."""


def blocking(text: str) -> str:
    """The blocking twin of an asynchronous module."""
    for pattern, replacement in _CHANGES:
        text = re.sub(pattern, replacement, text, flags=re.DOTALL if pattern.startswith("The async") else 0)
    return _ruffed(text)


def _ruffed(text: str) -> str:
    """The text with its imports sorted, formatted."""
    for command in (["check", "--select=I,F401", "--fix", "--quiet"], ["format", "--quiet"]):
        ruff = [str(Path(sys.executable).with_name("ruff")), *command, "--stdin-filename=rightcall/client/made.py", "-"]
        done = subprocess.run(ruff, cwd=ROOT, input=text, capture_output=True, text=True, check=True)
        text = done.stdout
    return text


def main() -> None:
    """Writes the blocking modules."""
    for source, made in TEXTS.items():
        (ROOT / made).write_text(blocking((ROOT / source).read_text()))
        print(made)


if __name__ == "__main__":
    main()
