"""Builds the image without a Docker engine and proves it.

``python tests/support/image_build.py`` needs root on Debian and some minutes.
The images that the Dockerfile starts from are made from Debian's packages, since no registry of images is needed for
that: the second holds what distroless/python3-debian12 holds, which is made from the same packages. Then the Dockerfile
itself is built by buildah, twice, and the result is run and compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = tuple(
    f"deb http://deb.debian.org/{archive} {suite} main"
    for archive, suite in (
        ("debian", "bookworm"),
        ("debian", "bookworm-updates"),
        ("debian-security", "bookworm-security"),
    )
)
"""Those of Debian's own images; the Rust that the core needs is among the security updates."""
RUNTIME_PACKAGES: Final = "python3,ca-certificates,libstdc++6,libgcc-s1"
CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
RIGHTCALL: Final = "/opt/rightcall/bin/rightcall"
PYTHON: Final = "/opt/rightcall/bin/python"
NATIVE: Final = "from pdp.rules.core import core; assert core().module, core().problem"


class Buildah:
    """buildah with a store of its own, and without namespaces, cgroups or a network of its own."""

    def __init__(self, store: Path) -> None:
        self._command = ["buildah", "--root", str(store / "storage"), "--runroot", str(store / "run")]
        self._environment = {**os.environ, "STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}

    def __call__(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a subcommand."""
        command = [*self._command, *map(str, arguments)]
        done = subprocess.run(command, env=self._environment, stdout=subprocess.PIPE, text=True, check=False)
        if check and done.returncode:
            sys.exit(f"failed: {' '.join(command)}")
        return done

    def base(self, name: str, work: Path, *options: str) -> None:
        """An image of Debian packages."""
        archive = work / f"{name}.tar"
        subprocess.run(["mmdebstrap", "--quiet", *options, "bookworm", archive, *SOURCES], check=True)
        container = self("from", "scratch").stdout.strip()
        self("add", "--quiet", container, archive, "/")
        self("commit", "--quiet", "--rm", container, f"localhost/{name}")
        archive.unlink()

    def build(self, name: str, work: Path, native: str) -> None:
        """The Dockerfile, from nothing; this machine's authorities are lent to pip and cargo meanwhile."""
        pip, cargo = work / "pip.conf", work / "config.toml"
        pip.write_text("[global]\ncert = /run/host-ca.crt\n")
        cargo.write_text('[http]\ncainfo = "/run/host-ca.crt"\n')
        volumes = (
            f"{CERTIFICATES}:/run/host-ca.crt:ro",
            f"{pip}:/etc/pip.conf:ro",
            f"{cargo}:/root/.cargo/config.toml:ro",
        )
        arguments = ["--build-arg", "BUILD_IMAGE=localhost/build", "--build-arg", "RUNTIME_IMAGE=localhost/runtime"]
        arguments += ["--build-arg", f"NATIVE={native}"]
        for volume in volumes:
            arguments += ["--volume", volume]
        self("bud", "--quiet", "--pull-never", "--no-cache", "--timestamp", "0", *arguments, "-t", name, ROOT)


def main() -> None:
    """Builds, checks, and prints what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--once", action="store_true", help="do not build a second time to compare")
    parser.add_argument("--without-rust", action="store_true", help="build without the core")
    chosen = parser.parse_args()
    once, native = chosen.once, "skip" if chosen.without_rust else "require"
    missing = [name for name in ("buildah", "mmdebstrap") if shutil.which(name) is None]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; install: apt-get install --no-install-recommends buildah mmdebstrap")
    with tempfile.TemporaryDirectory(prefix="rightcall-image-", dir="/var/tmp") as directory:
        work = Path(directory)
        buildah = Buildah(work)
        buildah.base("build", work, "--variant=minbase")
        buildah.base("runtime", work, "--variant=extract", f"--include={RUNTIME_PACKAGES}")
        names = ["localhost/first"] if once else ["localhost/first", "localhost/second"]
        for name in names:
            buildah.build(name, work, native)
        try:
            contents = [set(_entries(_mounted(buildah, name) / "opt" / "rightcall")) for name in names]
            different = contents[0] ^ contents[-1]
            if different:
                sys.exit("\n".join(["the two builds differ:", *sorted(different)[:20]]))
            _check(buildah, names[0], core=not chosen.without_rust)
        finally:
            _unmount(work)
        print("good" if once else "good; two builds from nothing have the same files, bytecode aside")


def _mounted(buildah: Buildah, name: str) -> Path:
    """Where an image's files can be looked at."""
    container = buildah("from", "--pull-never", name).stdout.strip()
    return Path(buildah("mount", container).stdout.strip())


def _check(buildah: Buildah, name: str, *, core: bool) -> None:
    """Runs the image as its user."""
    container = buildah("from", "--pull-never", name).stdout.strip()
    mounted = Path(buildah("mount", container).stdout.strip())
    shutil.copytree(ROOT / "examples", mounted / "examples")
    config = json.loads(buildah("inspect", name).stdout)["OCIv1"]["config"]
    _expect(config["User"] == "65532:65532", "the user is a number")
    _expect("Healthcheck" not in config, "no health check of Docker's")
    _expect(not any(list(mounted.glob(f"**/bin/{shell}")) for shell in ("sh", "dash", "bash", "busybox")), "no shell")
    _expect(not list((mounted / "opt/rightcall").glob("**/pip")), "no pip")
    version = buildah("run", container, "--", RIGHTCALL, "--version").stdout
    _expect("rightcall" in version, f"it runs: {version.strip()}")
    question = ("check", "--definitions", "/examples/company.yaml", "--extension", "112")
    answer = buildah("run", container, "--", RIGHTCALL, *question).stdout
    _expect("ALLOW" in answer, f"it decides: {answer.strip()}")
    native = buildah("run", container, "--", PYTHON, "-c", NATIVE, check=False)
    _expect((native.returncode == 0) == core, f"it has {'the' if core else 'no'} core")
    for program in ("serve", "load"):
        _expect(buildah("run", container, "--", RIGHTCALL, program, "--help", check=False).returncode == 0, program)
    megabytes = sum(path.stat().st_size for path in mounted.glob("opt/**/*") if path.is_file()) / 1e6
    print(f"  /opt/rightcall has {megabytes:.0f} MB")


def _expect(condition: object, what: str) -> None:
    print(f"  {'yes' if condition else 'NO '}  {what}")
    if not condition:
        sys.exit("the image is not as it should be")


def _entries(directory: Path) -> Iterator[str]:
    """Name, mode, time and content; of bytecode no content, since CPython does not write the same each time."""
    for path in sorted(directory.rglob("*")):
        name = f"{path.relative_to(directory)} {path.lstat().st_mode:o} {path.lstat().st_mtime_ns}"
        if path.is_symlink():
            yield f"{name} -> {path.readlink()}"
        elif path.suffix == ".pyc":
            yield name
        elif path.is_file():
            yield f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def _unmount(directory: Path) -> None:
    """Whatever the store has mounted, the innermost first; else its files cannot be removed."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for point in sorted((one for one in mounted if one.startswith(str(directory))), reverse=True):
        subprocess.run(["umount", point], check=True)


if __name__ == "__main__":
    main()
