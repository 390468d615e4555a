"""A real kube-apiserver with an etcd of its own: it defaults, checks and keeps manifests, and runs none of them."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import yaml
from charts import helm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from kube_tools import build_kube_programs, custom_resources
from redis_server import free_port
from tools import tool
from waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence

_ADMIN: Final = "token-of-the-tests"
_START_SECONDS: Final = 120.0


class KubeServer:
    """A cluster without nodes, as a context manager; it knows the custom resources of kube_tools."""

    def __init__(self) -> None:
        self._programs = build_kube_programs()
        self._directory = tempfile.TemporaryDirectory(prefix="rightcall-kubernetes-", ignore_cleanup_errors=True)
        self._at = Path(self._directory.name)
        self._config = self._at / "kubeconfig"
        self._running: list[subprocess.Popen[bytes]] = []

    def kubectl(self, *arguments: str | Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs kubectl to its end; a warning of the server counts as a failure."""
        command = [self._programs["kubectl"], "--kubeconfig", self._config, "--warnings-as-errors", *arguments]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)

    def applied(self, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``kubectl apply`` of manifests; a field that does not exist is refused."""
        return self.kubectl("apply", "--validate=strict", *arguments, "-f", "-", text=text)

    def helm(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs helm to its end."""
        return helm("--kubeconfig", self._config, *arguments)

    def namespace(self, name: str) -> str:
        """Makes a namespace that enforces the profile *restricted*, and warns of what would break it."""
        labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        self._must(self.applied(yaml.safe_dump(made)))
        return name

    def __enter__(self) -> Self:
        """Starts both and waits until they answer and know the custom resources."""
        store, peers, port = (free_port() for _ in range(3))
        self._write_files(port)
        address, peer = f"http://127.0.0.1:{store}", f"http://127.0.0.1:{peers}"
        etcd = [str(tool("etcd")), f"--data-dir={self._at / 'etcd'}", "--unsafe-no-fsync"]
        etcd += [f"--listen-client-urls={address}", f"--advertise-client-urls={address}"]
        etcd += [
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        ]
        self._start("etcd", etcd)
        key = self._at / "key.pem"
        server = [str(self._programs["kube-apiserver"]), f"--etcd-servers={address}", "--bind-address=127.0.0.1"]
        server += [f"--secure-port={port}", f"--cert-dir={self._at / 'certificates'}", "--authorization-mode=RBAC"]
        server += [f"--token-auth-file={self._at / 'tokens'}", "--service-cluster-ip-range=10.0.0.0/24"]
        server += ["--service-account-issuer=https://kubernetes.test", f"--service-account-key-file={key}"]
        server += [f"--service-account-signing-key-file={key}"]
        self._start("kube-apiserver", server)
        until(lambda: self.kubectl("get", "--raw=/readyz").stdout == "ok", "it answers", deadline=_START_SECONDS)
        for path in custom_resources():
            self._must(self.kubectl("apply", "--server-side", "-f", path))
        self._must(self.kubectl("wait", "--for=condition=Established", "--all", "crd"))
        return self

    def __exit__(self, *_: object) -> None:
        """Ends both and removes their files."""
        for process in reversed(self._running):
            process.kill()
            process.wait()
        self._directory.cleanup()

    def _write_files(self, port: int) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self._at / "key.pem").write_bytes(pem)
        (self._at / "tokens").write_text(f"{_ADMIN},admin,1,system:masters\n")
        # The server signs its certificate itself.
        cluster = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": _ADMIN}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "admin"}}],
            "current-context": "tests",
        }
        self._config.write_text(yaml.safe_dump(config))
        self._config.chmod(0o600)

    def _start(self, name: str, command: Sequence[str]) -> None:
        with (self._at / f"{name}.log").open("wb") as log:
            self._running.append(subprocess.Popen(command, cwd=self._at, stdout=log, stderr=log))

    def _must(self, done: subprocess.CompletedProcess[str]) -> None:
        assert done.returncode == 0, done.stderr
