"""What each server lacks: the tests that must fail with it, how they fail, and what that means for a run.

docs/servers.md repeats `what` and `effect`, and is compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Lack:
    """A behaviour that a server lacks.

    `tests` are names (`file.py::test[case]`; with `*` at the end, all that begin so), `failure` is searched for in the
    type and text of their exceptions. `effect` is for users: what follows for a run.
    """

    what: str
    effect: str
    tests: tuple[str, ...]
    failure: str = "^AssertionError"
    always: bool = True
    """False where it depends on chance, as of a race: then the tests may pass."""

    def expects(self, test: str) -> bool:
        """Whether a test must fail for this reason."""
        return any(test == name or (name.endswith("*") and test.startswith(name[:-1])) for name in self.tests)


def _keys(*cases: str) -> tuple[str, ...]:
    return tuple(f"test_objects.py::test_a_key_is_written_listed_read_and_deleted[{case}]" for case in cases)


def _no_such(*keys: str) -> tuple[str, ...]:
    return tuple(f"test_base.py::test_no_object_has_such_a_key[s3-{key}]" for key in keys)


_REFUSED: Final = "^(AssertionError|StorageRefused: RequestRefused|StorageRefused: AccessDenied)"
_NO_KEYS_CHECKED: Final = Lack(
    "checks of access keys",
    "any key is accepted: a wrong Secret is not noticed",
    ("test_refusals.py::test_wrong_keys_are_refused*",),
    "DID NOT RAISE",
)
_NAMES_OF_255_BYTES: Final = "file and folder names of 255 bytes and more"
_PATHS: Final = "keys with `//`, with `.` as a folder or a slash in front"

_OBJECT_AND_FOLDER: Final = "an object and a folder of one name, and objects whose key ends in a slash"
_SAME_NAME: Final = Lack(
    _OBJECT_AND_FOLDER,
    "such photos cannot be uploaded; a run writes no such keys",
    (*_keys("a slash at the end"), "test_objects.py::test_a_file_and_a_folder_may_have_one_name"),
    "DirectoryObjectContainsData|ObjectParentIsFile|InvalidArgument, Directory marker|InvalidRequest, Directory",
)
_ENCRYPTION: Final = ("test_requests.py::test_an_encryption_header_is_accepted_and_confirmed",)
_ENCRYPTION_IGNORED: Final = Lack("server-side encryption", "the server ignores `storage.encryption`", _ENCRYPTION)

_RACE: Final = Lack(
    "conditional writes that hold when several meet",
    "two pods that start at the same moment may get the same number, without a warning",
    (
        "test_conditions.py::test_of_several_conditional_writes_at_once_one_succeeds",
        "test_conditions.py::test_pods_that_claim_at_once_get_epochs_of_their_own",
    ),
    always=False,
)
_ODD: Final = ("0x01", "U+FFFE", "escape")

LACKS: Final[Mapping[str, tuple[Lack, ...]]] = {
    "versitygw": (
        Lack(
            _PATHS,
            "the server takes them for the key without these, or refuses them; keys of a run have none",
            (
                *_keys("two slashes", "a slash in front", "a dot as folder"),
                *_no_such("a//0.jpg", "/a0", "a/./0.jpg"),
            ),
            _REFUSED,
        ),
        Lack(
            _NAMES_OF_255_BYTES,
            "such photos cannot be uploaded; names in keys of a run are shorter",
            _keys("a name of 255 bytes", "a name of 900 bytes"),
            _REFUSED,
        ),
        _SAME_NAME,
        _ENCRYPTION_IGNORED,
    ),
    "seaweedfs": (
        Lack(
            _PATHS,
            "the server takes them for the key without these, or refuses them; keys of a run have none",
            (
                *_keys("two slashes", "a slash in front", "a dot as folder"),
                *_no_such("a//0.jpg", "/a0", "a/./0.jpg"),
                "test_base.py::test_a_prefix_is_the_beginning_of_keys[s3-a//]",
            ),
            _REFUSED,
        ),
        Lack(
            "backslashes in keys",
            "a backslash becomes a slash: the photo is in a folder",
            _keys("backslash"),
        ),
        Lack(
            "file and folder names of more than 255 bytes",
            "such photos cannot be uploaded; names in keys of a run are shorter",
            _keys("a name of 900 bytes"),
            "KeyTooLongError",
        ),
        Lack(
            "listings without folders that are empty",
            "a folder is still listed after its last object was deleted; a run and `trainingrun prune` pass over it",
            (
                "test_objects.py::test_a_folder_whose_last_object_is_deleted_is_gone",
                *_no_such("a/"),
            ),
        ),
    ),
    "minio": (
        Lack(
            _PATHS,
            "such photos cannot be uploaded, or are taken for the key without these; keys of a run have none",
            (
                *_keys("two slashes", "a slash in front", "a dot as folder"),
                *_no_such("a//0.jpg", "/a0", "a/./0.jpg"),
                "test_base.py::test_a_prefix_is_the_beginning_of_keys[s3-a//]",
            ),
            "^AssertionError|XMinioInvalidObjectName|XMinioInvalidResourceName|RequestRefused: HeadObject",
        ),
        Lack(
            "file and folder names of more than 255 bytes",
            "such photos cannot be uploaded; names in keys of a run are shorter",
            _keys("a name of 900 bytes"),
            "XMinioInvalidObjectName",
        ),
        Lack(
            "an object and a folder of one name",
            "what is in the folder is not listed: use no such names; a run writes no such keys",
            ("test_objects.py::test_a_file_and_a_folder_may_have_one_name",),
        ),
        Lack(
            "server-side encryption, unless a key service is set up in it",
            "without one, a run with `storage.encryption` is refused (`EncryptionRefused`)",
            _ENCRYPTION,
            "KMS is not configured",
        ),
    ),
    "rclone": (
        Lack(
            _PATHS,
            "such photos cannot be uploaded; keys of a run have none",
            (*_keys("two slashes", "a slash in front", "a dot as folder"), *_no_such("a//0.jpg", "/a0", "a/./0.jpg")),
            "RequestRefused",
        ),
        Lack(
            "file and folder names of more than 255 bytes",
            "such photos cannot be uploaded; names in keys of a run are shorter",
            _keys("a name of 900 bytes"),
            "InternalError",
        ),
        _SAME_NAME,
        Lack(
            "HeadObject that knows folders are no objects",
            "none: a run reads what is listed, and folders are not listed as objects",
            _no_such("a/"),
        ),
        _ENCRYPTION_IGNORED,
    ),
    "s3proxy": (
        Lack(
            _PATHS,
            "the server takes them for the key without these, or refuses them; keys of a run have none",
            (
                *_keys("two slashes", "a slash in front", "a dot as folder"),
                *_no_such("a//0.jpg", "/a0", "a/./0.jpg"),
                "test_base.py::test_a_prefix_is_the_beginning_of_keys[s3-/]",
                "test_base.py::test_a_prefix_is_the_beginning_of_keys[s3-a//]",
            ),
            "^AssertionError|RequestRefused",
        ),
        Lack(
            _NAMES_OF_255_BYTES,
            "such photos cannot be uploaded; names in keys of a run are shorter",
            _keys("a name of 255 bytes", "a name of 900 bytes"),
            "InternalError",
        ),
        Lack(
            _OBJECT_AND_FOLDER,
            "such photos cannot be uploaded, or are read as empty; a run writes no such keys",
            (*_SAME_NAME.tests, *_no_such("a.jpg/x")),
            "^AssertionError|ServerError",
        ),
        Lack(
            "server-side encryption",
            "a run with `storage.encryption` is refused (`EncryptionRefused`)",
            _ENCRYPTION,
            "Server-side encryption is not supported",
        ),
    ),
    "s3s-fs": (
        _RACE,
        Lack(
            "pluses and percent signs in keys",
            "`a+b.jpg` is stored as `a b.jpg`, and hides another photo of that name: use no such names",
            (
                *_keys("a plus", "percent"),
                "test_base.py::test_keys_are_listed_in_the_order_of_their_bytes[s3]",
                "test_base.py::test_a_prefix_is_the_beginning_of_keys[s3-a]",
                "test_base.py::test_listing_goes_on_after_a_key_that_may_not_exist[s3-]",
                "test_base.py::test_listing_goes_on_after_a_key_that_may_not_exist[s3-a]",
                "test_base.py::test_a_folder_has_its_files_and_folders_but_not_what_is_below_them[s3--files0-folders0]",
                "test_base.py::test_a_listing_agrees_with_head[s3]",
                "test_base.py::test_a_deleted_object_is_gone[s3]",
                "test_s3.py::test_listing_goes_page_by_page",
            ),
            "^AssertionError",
        ),
        Lack(
            "ETags in listings",
            "a photo that changes while it is read is noticed only by its size and the second of the change",
            (
                "test_objects.py::test_a_large_object_is_sent_in_parts_and_its_etag_is_the_same_everywhere",
                "test_objects.py::test_an_object_that_has_changed_since_the_listing_is_noticed",
                "test_base.py::test_other_content_has_another_etag[s3]",
            ),
            "^AssertionError|DID NOT RAISE",
        ),
        Lack(
            _PATHS,
            "the server takes them for the key without these, or refuses them; keys of a run have none",
            (
                *_keys("two slashes", "a slash in front", "a dot as folder"),
                *_no_such("a//0.jpg", "/a0", "a/./0.jpg"),
                "test_base.py::test_a_prefix_is_the_beginning_of_keys[s3-/]",
            ),
            "^AssertionError|ServerError",
        ),
        Lack(
            "keys that XML cannot carry, and line ends in keys",
            "the whole folder cannot be listed while such a key is in it (`ServerError`)",
            (
                *(f"test_listings.py::test_a_key_that_xml_cannot_carry_hides_no_other[{odd}]" for odd in _ODD),
                *_keys("line ends"),
            ),
            "^AssertionError|ServerError",
        ),
        Lack(
            "names of 255 bytes and more, and keys of 500 folders",
            "such photos cannot be uploaded; keys of a run are shorter",
            _keys("a name of 255 bytes", "a name of 900 bytes", "1,000 bytes in folders"),
            "ServerError",
        ),
        Lack(
            _OBJECT_AND_FOLDER,
            "such photos cannot be uploaded; a run writes no such keys",
            _SAME_NAME.tests,
            "UnexpectedContent|ServerError",
        ),
        Lack(
            "HeadObject of folders",
            "the server answers 500: a run that asks for an object of that name waits, and ends with `ServerError`",
            ("test_base.py::test_what_is_there_is_readable[s3]", *_no_such("a", "a/b", "a/")),
            "ServerError",
        ),
        Lack(
            "refusals that tell a wrong access key from a missing right",
            "a wrong access key is called `AccountUnusable`, whose hint names the key",
            ("test_refusals.py::test_wrong_keys_are_refused[AWS_ACCESS_KEY_ID-*",),
            "'AccountUnusable' == 'InvalidCredentials'",
        ),
        Lack(
            "refusals of a bucket that does not exist",
            "none: a write would create it, but a run lists first, which is refused (`BucketNotFound`)",
            (
                "test_refusals.py::test_a_bucket_that_does_not_exist_is_named[put]",
                "test_refusals.py::test_a_bucket_that_does_not_exist_is_named[conditional put]",
                "test_refusals.py::test_a_bucket_that_does_not_exist_is_named[get]",
            ),
            "DID NOT RAISE|'ObjectNotFound' == 'BucketNotFound'",
        ),
        _ENCRYPTION_IGNORED,
        Lack(
            "checks of MD5",
            "none: the agent compares sizes and SHA-256 itself",
            ("test_requests.py::test_an_md5_is_checked",),
        ),
    ),
    "s3mock": (
        _NO_KEYS_CHECKED,
        _RACE,
        Lack(
            "listings with a delimiter that count folders",
            "none: a page may have more than was asked for",
            ("test_s3.py::test_a_folder_is_listed_page_by_page_without_what_is_below_it",),
        ),
        Lack("backslashes in keys", "such photos cannot be uploaded", _keys("backslash"), "EndpointUnreachable"),
    ),
    "moto": (
        _NO_KEYS_CHECKED,
        Lack(
            "line ends in keys",
            "such photos are not found",
            _keys("line ends"),
            "",
        ),
        Lack(
            "checks of checksums",
            "none: the agent compares sizes and SHA-256 itself",
            ("test_requests.py::test_an_md5_is_checked", "test_requests.py::test_a_sha256_is_checked_and_returned"),
            "DID NOT RAISE|^AssertionError",
        ),
    ),
}


def summary(server: str) -> str:
    """What a server lacks, in one line."""
    return "lacks: " + ("; ".join(lack.what for lack in LACKS[server]) or "nothing")
