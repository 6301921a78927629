"""Values of the CRD's fields for encryption, proxy and credentials of storage: accepted, and refused."""

from __future__ import annotations

from typing import Any, Final

STORAGE = "spec.storage"
ENCRYPTION = f"{STORAGE}.encryption"
PROXY = f"{STORAGE}.proxy"
CREDENTIALS = f"{STORAGE}.credentials"
KEY_USELESS = "storage.encryption.kmsKeyId has no effect with type AES256; remove it, or set type to aws:kms"
KEY = (
    "storage.encryption.kmsKeyId must be the ID, ARN or alias of a key, such as "
    "arn:aws:kms:eu-central-1:123456789012:key/1234abcd or alias/training"
)
ADDRESS = (
    "storage.proxy must be http://host[:port] or https://host[:port], without user, password, path, query or trailing "
    "slash; or none"
)
PROXY_IPV4 = "storage.proxy must have an IPv4 address as four decimal numbers, such as http://10.0.0.1:3128"
ONE_OF = (
    "storage.credentials needs exactly one of secretName (a Secret with an access key) and serviceAccountName (a "
    "ServiceAccount, whose token is exchanged for temporary keys)"
)
ROLE_USELESS = "storage.credentials.roleARN has no effect without serviceAccountName; remove it"
STS_USELESS = "storage.credentials.stsEndpoint has no effect without serviceAccountName; remove it"
ACCOUNT = "storage.credentials.serviceAccountName must be the name of a ServiceAccount in this namespace"
ROLE = "storage.credentials.roleARN must be the ARN of a role, such as arn:aws:iam::123456789012:role/training"
STS = (
    "storage.credentials.stsEndpoint must be http://host[:port] or https://host[:port], without user, path, query or "
    "trailing slash"
)
STS_IPV4 = (
    "storage.credentials.stsEndpoint must have an IPv4 address as four decimal numbers, such as http://10.0.0.1:9000"
)
ARN = "arn:aws:iam::123456789012:role/team/training"


def keyless(**fields: str) -> dict[str, str]:
    return {"serviceAccountName": "trainingrun-s3", **fields}


PASSES: Final[list[tuple[str, Any]]] = [
    (ENCRYPTION, {"type": "AES256"}),
    (ENCRYPTION, {"type": "aws:kms"}),
    *(
        (ENCRYPTION, {"type": "aws:kms", "kmsKeyId": key})
        for key in (
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "alias/training",
            "arn:aws:kms:eu-central-1:1:key/a",
            "my_key",
        )
    ),
    *((PROXY, text) for text in ("none", "http://proxy", "https://proxy.example.com:3128", "http://10.0.0.1:3128")),
    (PROXY, "http://[fd00::1]:3128"),
    (CREDENTIALS, keyless()),
    (CREDENTIALS, keyless(roleARN=ARN, stsEndpoint="https://sts.eu-central-1.amazonaws.com")),
    *(
        (CREDENTIALS, keyless(roleARN=arn))
        for arn in ("arn:aws:iam:::role/a", "arn:minio:iam:::role/a", "arn:aws:iam::role/a")
    ),
    (CREDENTIALS, keyless(stsEndpoint="http://10.0.0.1:8333")),
    (
        STORAGE,
        {
            "endpoint": "http://s3",
            "bucket": "abc",
            "caBundle": {"configMapName": "a"},
            "credentials": keyless(stsEndpoint="https://sts.example.com"),
        },
    ),
]

REFUSED: Final[list[tuple[str, Any, str]]] = [
    (ENCRYPTION, {}, "Required value"),
    (ENCRYPTION, {"type": "aws:kms:dsse"}, '"aws:kms:dsse": supported values: "AES256", "aws:kms"'),
    (ENCRYPTION, {"type": "AES256", "kmsKeyId": "alias/a"}, KEY_USELESS),
    *((ENCRYPTION, {"type": "aws:kms", "kmsKeyId": key}, KEY) for key in ("", "a b", "a\r\nx-evil: 1", "/a", "ü")),
    *(
        (PROXY, text, ADDRESS)
        for text in (
            *("", "None", "proxy:3128", "socks5://proxy", "http://proxy/", "http://proxy:0", "http://proxy?a"),
            *("http://user@proxy", "http://user:word@proxy:3128", "http://[::ffff:169.254.169.254]", "http://proxy\n"),
        )
    ),
    *((PROXY, text, PROXY_IPV4) for text in ("http://2852039166", "http://0xa9fea9fe:3128", "http://1.2.3.256")),
    (CREDENTIALS, {}, ONE_OF),
    (CREDENTIALS, keyless(secretName="trainingrun-s3"), ONE_OF),
    (CREDENTIALS, {"secretName": "trainingrun-s3", "roleARN": ARN}, ROLE_USELESS),
    (CREDENTIALS, {"secretName": "trainingrun-s3", "stsEndpoint": "https://sts"}, STS_USELESS),
    *((CREDENTIALS, {"serviceAccountName": name}, ACCOUNT) for name in ("", "Team", "default/admin", "-a")),
    *((CREDENTIALS, keyless(roleARN=arn), ROLE) for arn in ("training", "arn:", "arn:aws:iam::1:role/a b", f"{ARN}\n")),
    *(
        (CREDENTIALS, keyless(stsEndpoint=text), STS)
        for text in ("sts.example.com", "https://sts/", "https://user@sts", "https://sts?a=b", "")
    ),
    *((CREDENTIALS, keyless(stsEndpoint=text), STS_IPV4) for text in ("https://2852039166", "http://0251.1.1.1")),
]
