"""S3 credentials from the mounted Secret.

Invariant: the files are read for every request that boto3 signs, so a rotated Secret is used at once. Nothing comes
from the environment, a profile or instance metadata. Values are registered for redaction before use.
"""

from __future__ import annotations

from pathlib import Path

from botocore.credentials import Credentials, ReadOnlyCredentials

from trainingrun_agent import redaction
from trainingrun_agent.errors import StorageRefused
from trainingrun_agent.reasons.storage import CREDENTIALS_MISSING, CREDENTIALS_NOT_TEXT

ACCESS_KEY = "AWS_ACCESS_KEY_ID"
SECRET_KEY = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - the name of the Secret's key
SESSION_TOKEN = "AWS_SESSION_TOKEN"  # noqa: S105 - the name of the Secret's key
MAX_BYTES = 4096


class MountedCredentials(Credentials):
    """Credentials for botocore that are read from the folder each time."""

    def __init__(self, folder: Path) -> None:
        super().__init__(access_key="", secret_key="", method="mounted-secret")
        self._folder = folder

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Read the files now. Raises StorageRefused with reason CredentialsMissing or InvalidCredentials."""
        return read(self._folder)


class GivenCredentials:
    """Replaces botocore's chain of providers, so that no other source is used."""

    def __init__(self, credentials: Credentials | None) -> None:
        self._credentials = credentials

    def load_credentials(self) -> Credentials | None:
        """Called once per session by botocore."""
        return self._credentials


def read(folder: Path) -> ReadOnlyCredentials:
    """Access key, secret key and the optional token, all from one version of the mounted Secret."""
    # The kubelet replaces the link ..data when the Secret changes; else two keys could be of different versions.
    version = (folder / "..data").resolve() if (folder / "..data").exists() else folder
    return ReadOnlyCredentials(
        _required(version, ACCESS_KEY), _required(version, SECRET_KEY), _value(version, SESSION_TOKEN)
    )


def _required(folder: Path, name: str) -> str:
    value = _value(folder, name)
    if value is None:
        raise StorageRefused(CREDENTIALS_MISSING, key=name)
    return value


def _value(folder: Path, name: str) -> str | None:
    try:
        with (folder / name).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError:
        return None
    # `kubectl create secret --from-file` keeps the newline that editors add at the end.
    value = data.decode("ascii", "replace").strip()
    if len(data) > MAX_BYTES or not is_bare(value):
        raise StorageRefused(CREDENTIALS_NOT_TEXT, key=name)
    redaction.register(value)
    return value or None


def is_bare(value: str) -> bool:
    """Whether the text is one word of printable ASCII, as a header can carry it."""
    return value.isascii() and value.isprintable() and " " not in value
