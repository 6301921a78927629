"""Build the Go modules of modules/ into the cache.

Invariant: the folder ``bin/<module>-<key>`` exists only when complete (it is renamed into place), and the key
covers everything the binary depends on, so an existing folder is never rebuilt and never out of date.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .checks import Probes, check_disk, check_go, required_go
from .command import last_lines
from .errors import ClusterError
from .modules import BY_COMMAND, Module
from .paths import MODULES, cache_root

GOFLAGS = "-buildvcs=false -modcacherw -trimpath"
ATTEMPTS = 5
HEARTBEAT_SECONDS = 30.0
# Network errors are worth a retry; any other error is one of the build itself.
_NETWORK_ERROR = re.compile(
    r"dial tcp|i/o timeout|TLS handshake|connection (reset|refused)|unexpected EOF|deadline exceeded"
    r"|no such host|server misbehaving|stream error|GOAWAY|: EOF|: (429|50[0234]) ",
)

Echo = Callable[[str], None]


def key(module: Module, go_version: str) -> str:
    """First 16 hex digits of the SHA-256 over sources, flags and compiler of ``module``."""
    digest = hashlib.sha256()
    for path in sorted((MODULES / module.name).iterdir()):
        if path.name in ("go.mod", "go.sum") or path.suffix == ".go":
            digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    digest.update(f"{GOFLAGS}\0{module.package}\0{module.output}\0{module.linker_flags}\0{go_version}".encode())
    digest.update("\0".join(module.commands).encode())
    return digest.hexdigest()[:16]


def folder(module: Module, go_version: str) -> Path:
    """Folder of the binaries of ``module``; exists once they are built."""
    return cache_root() / "bin" / f"{module.name}-{key(module, go_version)}"


def ensure(commands: Iterable[str], *, echo: Echo, probes: Probes | None = None) -> dict[str, Path]:
    """Build what is missing and return command -> absolute path.

    Raises ClusterError for a missing or old Go, a full disk, an unknown command, or a failed build.
    """
    probes = probes or Probes()
    wanted = list(commands)
    unknown = [command for command in wanted if command not in BY_COMMAND]
    if unknown:
        raise ClusterError(f"no such command: {', '.join(unknown)}; known: {', '.join(sorted(BY_COMMAND))}")
    modules = list({BY_COMMAND[command].name: BY_COMMAND[command] for command in wanted}.values())
    go_version = check_go(probes, at_least=required_go(MODULES / module.name for module in modules))
    missing = [module for module in modules if not folder(module, go_version).is_dir()]
    if missing:
        check_disk(probes, cache_root(), cold=not (cache_root() / "go" / "build").is_dir())
    for number, module in enumerate(missing, start=1):
        _build_locked(module, go_version, _numbered(echo, f"build {number}/{len(missing)}"))
    return {command: folder(BY_COMMAND[command], go_version) / command for command in wanted}


def _numbered(echo: Echo, prefix: str) -> Echo:
    return lambda line: echo(f"{prefix} {line}")


def _build_locked(module: Module, go_version: str, echo: Echo) -> None:
    target = folder(module, go_version)
    with _lock(target.parent / f".{module.name}.lock", lambda: echo(f"{module.name}: waiting for another build")):
        if target.is_dir():
            return
        scratch = Path(tempfile.mkdtemp(prefix=f".{module.name}-", dir=target.parent))
        try:
            _compile(module, scratch, echo)
            scratch.chmod(0o755)
            scratch.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _lock(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _compile(module: Module, scratch: Path, echo: Echo) -> None:
    started = time.monotonic()
    echo(f"{module.name} {module.version} ({', '.join(module.provides)})")
    for attempt in range(1, ATTEMPTS + 1):
        code, log = _go_build(module, scratch / module.output, started, echo)
        if code == 0:
            break
        if attempt == ATTEMPTS or not _NETWORK_ERROR.search(log):
            kept = _keep_log(module, log)
            end = last_lines(log) or "no output"
            raise ClusterError(f"building {module.name} failed with exit code {code} (whole output: {kept}):\n{end}")
        echo(f"{module.name}: download failed, attempt {attempt + 1} of {ATTEMPTS} in {2**attempt} s")
        time.sleep(2**attempt)
    for command in module.commands:
        (scratch / command).symlink_to(module.output)
    size = (scratch / module.output).stat().st_size / 2**20
    echo(f"{module.name}: done in {time.monotonic() - started:.0f} s, {size:.0f} MiB")


def _go_build(module: Module, output: Path, started: float, echo: Echo) -> tuple[int, str]:
    command = ["go", "build", "-o", str(output), "-ldflags", module.linker_flags, module.package]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(command, cwd=MODULES / module.name, env=_environment(module), stdout=log, stderr=log)
        try:
            while True:
                try:
                    code = process.wait(timeout=HEARTBEAT_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    echo(f"{module.name}: {time.monotonic() - started:.0f} s")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        log.seek(0)
        return code, log.read(1_000_000)


def _environment(module: Module) -> dict[str, str]:
    go = cache_root() / "go"
    fixed = {
        "GOFLAGS": GOFLAGS,
        "GOMODCACHE": str(go / "mod"),
        "GOCACHE": str(go / "build"),
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    return {**os.environ, **fixed, **module.environment}


def _keep_log(module: Module, log: str) -> Path:
    path = cache_root() / "bin" / f"{module.name}.log"
    path.write_text(log, encoding="utf-8")
    return path
