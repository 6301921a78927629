"""What a user's shell needs to work with the demo's cluster: `kubectl`, `aws`, the S3 server's address and key.

Invariant: the key is in one file of mode 600 and in no argument, log or printed line.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from trdemo.target import Target

REGION = "us-east-1"
FILE = "env.sh"


def write(target: Target, folder: Path) -> Path:
    """Write `env.sh`, which a shell sources, and links to the programs; returns the path of `env.sh`."""
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    for program in (Path(target.kubectl.binary), Path(target.helm), Path(sys.executable).with_name("aws")):
        link = programs / program.name
        link.unlink(missing_ok=True)
        link.symlink_to(program)
    storage = target.storage
    variables = {
        "KUBECONFIG": str(target.kubectl.kubeconfig),
        "AWS_ENDPOINT_URL": storage.endpoint,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": storage.access_key,
        "AWS_SECRET_ACCESS_KEY": storage.secret_key,
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    lines += [f'export PATH={shlex.quote(str(programs.resolve()))}:"$PATH"']
    file = folder / FILE
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
