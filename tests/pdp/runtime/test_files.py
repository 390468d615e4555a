"""Files that people name in options."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pdp.runtime.files import UnsuitableFile, read_regular

if TYPE_CHECKING:
    from pathlib import Path


def test_a_regular_file_is_read_through_links(tmp_path: Path) -> None:
    """Kubernetes' secrets are links to regular files."""
    (tmp_path / "key").write_bytes(b"secret")
    (tmp_path / "link").symlink_to(tmp_path / "key")
    assert read_regular(tmp_path / "link") == b"secret"


@pytest.mark.parametrize("kind", ["endless", "pipe", "large"])
def test_what_is_not_a_small_regular_file_is_an_error(tmp_path: Path, kind: str) -> None:
    """At once: a device has no end, and a pipe may have no beginning."""
    path = tmp_path / "file"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "large":
        path.write_bytes(bytes(1001))
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(UnsuitableFile, match=r"regular|1,000"):
        read_regular(path, 1000)
