"""Values of the CRD's fields for weights and for a run to continue: accepted, and refused."""

from __future__ import annotations

from typing import Any, Final

PRETRAINED = "spec.model.pretrained"
RESUME = "spec.resumeFrom"
ZOO = "https://zoo.example:8443/models/ssd_2018.tar.gz"
ONE_OF = "model.pretrained needs exactly one of uri and run"
ARCHIVE = 'model.pretrained.uri must be a .tar.gz, .tgz or .tar archive, or an export folder that ends with "/"'
ARCHIVE_KEY = (
    "model.pretrained.uri must be a key in storage.bucket, s3://bucket/key, or https://host/path of an archive, "
    "without user and query"
)
SHA256 = "model.pretrained.sha256 must be 64 digits of 0-9 and a-f, as sha256sum prints them"
SHA256_NEEDED = (
    "model.pretrained.sha256 is required with an https:// address: the SHA-256 of the archive, as sha256sum prints it"
)
SHA256_USELESS = (
    "model.pretrained.sha256 is that of an archive; the export of a run is verified without it, so remove it"
)
RESUME_ONE_OF = "resumeFrom needs exactly one of uri and run"
RESUME_FOLDER = "resumeFrom.uri must be the folder of a run, so end it with a slash"
RESUME_KEY = "resumeFrom.uri must be a key prefix in storage.bucket or s3://bucket/prefix/"
RESUME_PATH = 'resumeFrom.uri must not start with "/" or contain ".." or control characters'
RESUME_RUN = "resumeFrom.run must be the name of a TrainingRun in this namespace"
RESUME_ALONE = (
    "model.pretrained has no effect with resumeFrom, which takes every variable from a checkpoint; remove one of them"
)
ARCHIVE_PATH = 'model.pretrained.uri must not start with "/" or contain ".." or control characters'
RUN = "model.pretrained.run must be the name of a TrainingRun in this namespace"

PASSES: Final[list[tuple[str, Any]]] = [
    (PRETRAINED, {"uri": "zoo/a.tar.gz"}),
    (PRETRAINED, {"uri": "s3://zoo/a.tgz"}),
    (PRETRAINED, {"uri": "a.tar"}),
    (PRETRAINED, {"uri": "runs/default/a-1/export/0001-ab/"}),
    (PRETRAINED, {"run": "tire-1"}),
    (PRETRAINED, {"run": "tire-1", "scope": "all"}),
    (PRETRAINED, {"uri": "zoo/a.tar.gz", "scope": "backbone", "sha256": "0a" * 32}),
    (PRETRAINED, {"uri": ZOO, "sha256": "0a" * 32}),
    (RESUME, {"run": "tire-1"}),
    (RESUME, {"uri": "runs/default/tire-0a1b2c3d/"}),
    (RESUME, {"uri": "s3://detectors/runs/default/tire-0a1b2c3d/"}),
]

REFUSED: Final[list[tuple[str, Any, str]]] = [
    (PRETRAINED, {}, ONE_OF),
    (PRETRAINED, {"uri": "a.tar", "run": "b"}, ONE_OF),
    (PRETRAINED, {"uri": "model.zip"}, ARCHIVE),
    (PRETRAINED, {"uri": "http://host/a.tar.gz"}, ARCHIVE_KEY),
    *(
        (PRETRAINED, {"uri": uri, "sha256": "0a" * 32}, ARCHIVE_KEY)
        for uri in (
            "https://host/a.tar.gz?b=c.tar",
            "https://user@host/a.tar",
            "https:///a.tar",
            "https://host/a#.tar",
            "https://host/a/",
        )
    ),
    (PRETRAINED, {"uri": ZOO}, SHA256_NEEDED),
    (PRETRAINED, {"uri": ZOO, "sha256": "0A" * 32}, SHA256),
    (PRETRAINED, {"uri": "runs/a/", "sha256": "0a" * 32}, SHA256_USELESS),
    (PRETRAINED, {"run": "a", "sha256": "0a" * 32}, SHA256_USELESS),
    (PRETRAINED, {"run": "a", "scope": "heads"}, '"heads": supported values: "auto", "backbone", "all"'),
    (RESUME, {}, RESUME_ONE_OF),
    (RESUME, {"uri": "runs/a/", "run": "b"}, RESUME_ONE_OF),
    (RESUME, {"uri": "runs/a"}, RESUME_FOLDER),
    (RESUME, {"uri": "https://host/a/"}, RESUME_KEY),
    (RESUME, {"uri": "../a/"}, RESUME_PATH),
    (RESUME, {"run": "Tire"}, RESUME_RUN),
    (PRETRAINED, {"uri": "../a.tar"}, ARCHIVE_PATH),
    (PRETRAINED, {"uri": "a\u2066.tar"}, ARCHIVE_PATH),
    (PRETRAINED, {"run": "Tire"}, RUN),
]
