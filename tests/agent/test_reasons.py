"""The table of reasons: complete, and every step that it offers can be taken."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
import yaml

import trainingrun_agent
from trainingrun_agent import reasons
from trainingrun_agent.cli.terms import COMMAND_LINE, for_folders
from trainingrun_agent.errors import (
    DiskFull,
    IntegrityError,
    Interrupted,
    NotFound,
    ObjectArchived,
    ObjectChanged,
    ObjectTooLarge,
    StageError,
    StorageOutage,
    StorageRefused,
    Superseded,
    UserError,
)
from trainingrun_agent.reasons import (
    Outcome,
    Reason,
    Step,
    access,
    configuration,
    dataset,
    exporting,
    pods,
    resume,
    storage,
    storage_answers,
    trainer,
    weights,
)
from trainingrun_agent.terms import Change, Terms
from trainingrun_agent.verdict import Verdict

pytestmark = pytest.mark.contract
ROOT = Path(__file__).parents[2]
PACKAGE = Path(trainingrun_agent.__file__).parent
TRAINER = ROOT / "images" / "trainer" / "trainingrun_trainer"
ENTRIES = [(name, entry) for name, entries in reasons.cases().items() for entry in entries]
IDS = [f"{name} {number}" for number, (name, _) in enumerate(ENTRIES)]
MAX_HINT = 300  # characters that the operator shows


@cache
def crd_spec() -> Any:
    crd = yaml.safe_load((ROOT / "manifests/crd/trainingruns.trainingrun.dev.yaml").read_text())
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def has_field(path: str) -> bool:
    node = crd_spec()
    for name in path.split("."):
        node = node.get("properties", {}).get(name)
        if node is None:
            return False
    return True


def paths_in(template: str) -> Iterator[str]:
    for _, field, _, _ in Formatter().parse(template):
        found = re.fullmatch(r"(?:field|change|higher|lower)\[(.*)\]", field or "")
        if found:
            yield found[1]


def stages_of(path: str) -> list[str]:
    stages = ("prep", "train", "export")
    return [path.replace("stage.", f"{stage}.", 1) for stage in stages] if path.startswith("stage.") else [path]


@pytest.mark.parametrize(("name", "entry"), ENTRIES, ids=IDS)
def test_every_field_is_one_of_the_spec(name: str, entry: Reason) -> None:
    named = [*entry.fields, *paths_in(entry.message), *paths_in(entry.hint)]
    assert [path for field in named for path in stages_of(field) if not has_field(path)] == []


@pytest.mark.parametrize(("name", "entry"), ENTRIES, ids=IDS)
def test_every_reason_is_explained_and_has_one_outcome(name: str, entry: Reason) -> None:
    assert re.fullmatch("[A-Z][A-Za-z0-9]{0,63}", name)
    assert entry.meaning.endswith(".")
    assert entry.hint or entry.outcome is Outcome.SUCCEEDED
    first = reasons.cases()[name][0]
    assert (entry.outcome, entry.meaning, entry.raised_by) == (first.outcome, first.meaning, first.raised_by)


PROBE = Terms(set="NEW", fields={})
IMPERATIVE = re.compile(r"\b(?:correct|set|raise|lower|write|change|choose|use) (?:spec|<)", re.IGNORECASE)


@pytest.mark.parametrize(("name", "entry"), ENTRIES, ids=IDS)
def test_no_hint_asks_to_change_an_immutable_field(name: str, entry: Reason) -> None:
    """The API refuses a change of every field that entries name: only a new run can have another value."""
    text = re.sub("NEW (another|a higher|a lower)", "", entry.to_json(PROBE)["hint"].replace(PROBE.retry, ""))
    assert not IMPERATIVE.search(text), text


def test_fields_of_new_runs_cannot_change_on_a_live_object() -> None:
    rules = " ".join(rule["rule"] for rule in crd_spec()["x-kubernetes-validations"])
    frozen = set(re.findall(r"self\.(\w+) == oldSelf\.\1", rules))
    roots = {path.split(".")[0] for _, entry in ENTRIES for field in entry.fields for path in stages_of(field)}
    assert roots <= frozen


@pytest.mark.parametrize(("name", "entry"), ENTRIES, ids=IDS)
def test_hints_fit_and_say_how_to_go_on(name: str, entry: Reason) -> None:
    document = entry.to_json()
    assert len(document["hint"]) <= MAX_HINT
    if entry.step is Step.NEW_RUN:
        assert "new TrainingRun" in document["hint"] or entry is pods.FOLDER_FULL
    if entry.step is Step.WAIT:
        assert "new TrainingRun" not in document["hint"]


CLUSTER = re.compile(r"\bspec\b|TrainingRun|\bpods?\b|\bSecret\b|namespace|<stage>")
ON_A_COMMAND_LINE = [
    *(access.PROXY_REFUSED, access.PROXY_TLS_ERROR, access.PROXY_UNREACHABLE, access.PROXY_GATEWAY_ERROR),
] + [
    entry
    for table in (storage, storage_answers, dataset)
    for entry in vars(table).values()
    if isinstance(entry, Reason)
    and entry not in (storage.ADDRESS_REFUSED, storage.CREDENTIALS_MISSING, storage.CREDENTIALS_NOT_TEXT)
    and entry not in (storage.CA_NOT_MOUNTED, storage.CA_UNREADABLE, storage.NO_FREE_EPOCH)
    and entry not in (storage.CONDITIONAL_WRITES_IGNORED, storage.NOT_A_DATA_SET, storage.ENDPOINT_UNUSABLE)
    and entry not in (storage_answers.ENCRYPTION_DEMANDED, storage_answers.ENCRYPTION_NOT_OFFERED)
    and entry not in (storage_answers.KEY_UNUSABLE, access.ENCRYPTION_REFUSED)
    and entry not in (storage_answers.ASKED_KEY_UNUSABLE, storage_answers.ASKED_ENCRYPTION_NOT_OFFERED)
    and entry not in (storage_answers.OTHER_ENCRYPTION_DEMANDED, storage_answers.ROLE_ACCOUNT_UNUSABLE)
    and entry not in (dataset.CONFIG_REFUSED, dataset.LEARNING_RATE_UNUSABLE, storage.WRITES_NOT_VISIBLE)
]
"""Entries that a command can raise; all others are raised only in pods."""


@pytest.mark.parametrize("terms", [COMMAND_LINE, for_folders("./images", "./test")], ids=["bucket", "folders"])
@pytest.mark.parametrize("entry", ON_A_COMMAND_LINE, ids=lambda entry: entry.message[:40])
def test_no_message_of_a_command_mentions_a_cluster(entry: Reason, terms: Terms) -> None:
    document = entry.to_json(terms)
    assert not CLUSTER.search(f"{document['message']} {document['hint']}"), document


CLASSES: dict[str, tuple[type[StageError], set[Outcome]]] = {
    "UserError": (UserError, {Outcome.USER_ERROR}),
    "ObjectTooLarge": (ObjectTooLarge, {Outcome.USER_ERROR}),
    "StorageRefused": (StorageRefused, {Outcome.STORAGE_REFUSED}),
    "NotFound": (NotFound, {Outcome.STORAGE_REFUSED}),
    "ObjectArchived": (ObjectArchived, {Outcome.STORAGE_REFUSED}),
    "ObjectChanged": (ObjectChanged, {Outcome.STORAGE_REFUSED}),
    "StorageOutage": (StorageOutage, {Outcome.STORAGE_OUTAGE}),
    "IntegrityError": (IntegrityError, {Outcome.CRASH}),
    "DiskFull": (DiskFull, {Outcome.DISK_FULL}),
    "Superseded": (Superseded, {Outcome.INTERRUPTED}),
    "Interrupted": (Interrupted, {Outcome.INTERRUPTED}),
    "StageError": (StageError, set(Outcome)),
}
CONSTANTS = {
    name: value
    for table in (access, configuration, dataset, exporting, pods, resume, storage, storage_answers, trainer, weights)
    for name, value in vars(table).items()
    if isinstance(value, (Reason, dict)) and not name.startswith("_")
}


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name != "errors.py":
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES:
                    yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node.func.id, node


CALLS = list(calls())


def entries_of(call: ast.Call) -> list[Reason]:
    """The entries that a call may raise; empty if they are chosen at run time."""
    argument = call.args[0] if call.args else None
    if isinstance(argument, ast.Subscript):
        argument = argument.value
    if isinstance(argument, ast.Name) and argument.id in CONSTANTS:
        found = CONSTANTS[argument.id]
        return list(found.values()) if isinstance(found, dict) else [found]
    return []


@pytest.mark.parametrize(("place", "kind", "call"), CALLS, ids=[place for place, _, _ in CALLS])
def test_an_entry_is_raised_with_its_outcome_and_values(place: str, kind: str, call: ast.Call) -> None:
    assert not any(isinstance(argument, ast.Constant) for argument in call.args)  # no text
    given = {keyword.arg for keyword in call.keywords}
    for entry in entries_of(call):
        assert entry.outcome in CLASSES[kind][1]
        fields = {field for text in (entry.message, entry.hint) for _, field, _, _ in Formatter().parse(text) if field}
        wanted = {field for field in fields if "[" not in field} - {"retry", "new_run", "here", "credentials"}
        assert None in given or wanted <= given


def test_every_entry_is_raised_somewhere() -> None:
    code = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py") if path.parent.name != "reasons")
    own = [name for name, value in CONSTANTS.items() if value not in vars(trainer).values()]
    made_by_others = {"EMPTY_TRAIN_SET", "EMPTY_EVAL_SET", "OUT_OF_MEMORY", "TRAINER_DIED", "EXPORTER_DIED"}
    unused = {name for name in own if not re.search(rf"\b{name}\b", code)}
    assert unused - made_by_others == set()


NOT_IN_A_TEST = {
    "ConfigRefused": "the configurations are valid, and every trainer image has the same API",
    "NoCheckpoint": "TensorFlow saves one whenever training ends",
    "ExportDetectsNothing": "needs an exporter that loses the weights",
    "FrozenGraphUnusable": "needs an exporter that writes files it cannot read",
    "SavedModelUnusable": "needs an exporter that writes files it cannot read",
}


def test_every_reason_ends_something_in_a_test() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__))
    unseen = {name for name in reasons.cases() if not re.search(rf"\b{name}\b", tests)}
    assert unseen == NOT_IN_A_TEST.keys()


RAISED = re.compile(r'TrainerError\(\s*"(\w+)",\s*"(\w+)"')
SIGNATURE = re.compile(r'", "(\w+)", "([A-Z]\w+)",|"(\w+)",\n\s+"([A-Z]\w+)", "')


def test_the_reasons_of_the_trainer_are_in_the_table_with_its_outcomes() -> None:
    code = "\n".join(path.read_text() for path in TRAINER.rglob("*.py"))
    found = set(RAISED.findall(code))
    namespace: dict[str, Any] = {}
    exec(compile((TRAINER / "outcomes.py").read_text(), "outcomes.py", "exec"), namespace)  # noqa: S102 - a file of this repository
    found |= {(outcome, reason) for _, outcome, reason in namespace["SIGNATURES"]}
    assert len(found) > 15
    for outcome, reason in found:
        entry = reasons.of_trainer(reason, Outcome(outcome))
        assert (entry.name, str(entry.outcome), reason in reasons.cases()) == (reason, outcome, True)
        assert entry.message == trainer.MESSAGE


def test_a_custom_trainer_image_may_have_reasons_of_its_own() -> None:
    entry = reasons.of_trainer("LicenceExpired", Outcome.CRASH)
    error = StageError(entry, message="No licence.", hint="Renew it.", container="trainer")
    assert (error.reason, error.message) == ("LicenceExpired", "No licence.")
    assert error.hint.startswith("Renew it. If spec.train.image is an image of your own, check it")
    assert "LicenceExpired" not in reasons.cases()


def test_an_interrupted_trainer_is_waited_for_whatever_its_reason() -> None:
    assert reasons.of_trainer("NoCheckpoint", Outcome.INTERRUPTED).step is Step.WAIT
    assert reasons.of_trainer("NoCheckpoint", Outcome.CRASH).step is Step.PLATFORM


def test_the_table_is_plain_data() -> None:
    table = {entry["name"]: entry for entry in reasons.export()}
    assert list(table) == sorted(table)
    assert table["DeviceOutOfMemory"] == {
        "name": "DeviceOutOfMemory",
        "outcome": "outOfMemory",
        "raisedBy": "trainer",
        "meaning": trainer.DEVICE_OUT_OF_MEMORY.meaning,
        "message": "<message>",
        "kind": "newRun",
        "fields": ["train.batchSize", "train.onOutOfMemory"],
        "hint": "Create a new TrainingRun with a lower spec.train.batchSize, or with spec.train.onOutOfMemory:"
        " HalveBatch, which halves it by itself.",
        "cases": [
            {
                "message": "<message>",
                "kind": "newRun",
                "fields": ["model.network"],
                "hint": "A batch is one image already: create a new TrainingRun with another spec.model.network, one"
                " that needs less memory, or use a larger GPU.",
            }
        ],
    }
    assert [case["kind"] for case in table["TLSError"]["cases"]] == ["retry", "retry", "newRun", "newRun", "newRun"]


def test_a_reason_is_found_whatever_its_case() -> None:
    assert reasons.find("bucketnotfound") == reasons.find("BucketNotFound")
    assert reasons.find("NoSuchReason") == []


BATCH = {"train.batchSize": 24, "train.learningRate": "0.004", "dataset.maxBadFiles": "1%"}
STEPS = [
    pytest.param(
        StageError(trainer.DEVICE_OUT_OF_MEMORY, message="OOM", container="trainer"),
        {"kind": "newRun", "field": "train.batchSize", "value": "24", "try": "12"},
        "Create a new TrainingRun with spec.train.batchSize: 12 (now 24), or with spec.train.onOutOfMemory: HalveBatch,"
        " which halves it by itself.",
        id="half the batch",
    ),
    pytest.param(
        StageError(trainer.DIVERGED, message="NaN", container="trainer"),
        {"kind": "newRun", "field": "train.learningRate", "value": "0.004", "try": "0.001"},
        'Create a new TrainingRun with spec.train.learningRate: "0.001" (now 0.004), or with spec.train.onDivergence:'
        " Rollback, which goes on from the last good checkpoint with half the rate; also look for wrong boxes in the"
        " data report, and in the images that are named.",
        id="a third of the rate",
    ),
    pytest.param(
        StageError(trainer.DIVERGED_AGAIN, message="NaN", container="trainer"),
        {"kind": "newRun", "field": "train.learningRate", "value": "0.004", "try": "0.001"},
        'Create a new TrainingRun with spec.train.learningRate: "0.001" (now 0.004): with half of that training'
        " diverged too; also look for wrong boxes in the data report, and in the images that are named.",
        id="half of the rate was too high",
    ),
    pytest.param(
        UserError(
            dataset.CLASS_NOT_FOUND, classes="'Tire'", names="'tire'", change=Change("dataset.classes", to=["tire"])
        ),
        {"kind": "newRun", "field": "dataset.classes", "try": "[tire]"},
        "Class names are case-sensitive: create a new TrainingRun with spec.dataset.classes: [tire]; or correct the"
        " labels and raise spec.retry.",
        id="the nearest name",
    ),
    pytest.param(
        DiskFull(what="model.ckpt"),
        {"kind": "newRun", "field": "train.scratch"},
        "Create a new TrainingRun with a higher spec.train.scratch.",
        id="the stage's own field",
    ),
    pytest.param(
        StageError(trainer.CPU_WITHOUT_AVX, message="No AVX.", container="trainer"),
        {"kind": "newRun", "field": "train.pod.nodeSelector"},
        "Create a new TrainingRun with another spec.train.pod.nodeSelector, one for nodes whose CPU has AVX (with Node"
        ' Feature Discovery: feature.node.kubernetes.io/cpu-cpuid.AVX: "true"). If only this node has none, ask your'
        " platform team to keep the pod off it, then raise spec.retry.",
        id="another node",
    ),
    pytest.param(
        UserError(dataset.TOO_MANY_BAD_FILES, bad="1 bad file", files="9 images", limit="1%", allowed=0),
        {"kind": "retry"},
        "Correct the files that the report names, then raise spec.retry; or create a new TrainingRun with a higher"
        " spec.dataset.maxBadFiles.",
        id="outside of the run",
    ),
    pytest.param(
        Interrupted(), {"kind": "wait"}, "Nothing to do: the next attempt starts by itself.", id="nothing to do"
    ),
]


@pytest.mark.parametrize(("error", "step", "hint"), STEPS)
def test_a_verdict_says_which_step_helps(error: StageError, step: dict[str, str], hint: str, contract: Any) -> None:
    document = Verdict.failed(error, stage="train", terms=Terms(values=BATCH)).to_json()
    contract("verdict", document)
    assert (document["nextStep"], document["hint"]) == (step, hint)


@pytest.mark.parametrize(
    ("rate", "slower"), [("0.004", "0.001"), (".5", "0.2"), ("10", "3"), ("0.000001", "0.0000003"), ("30.0", "10")]
)
def test_a_lower_learning_rate_is_written_as_the_api_takes_it(rate: str, slower: str) -> None:
    error = StageError(trainer.DIVERGED, message="NaN", container="trainer")
    hint = error.hint_in(Terms(values={"train.learningRate": rate}))
    assert f'spec.train.learningRate: "{slower}" (now {rate})' in hint


@pytest.mark.parametrize(
    ("names", "written"),
    [
        (["tire", "traffic light", "größe"], "[tire, traffic light, größe]"),
        (["0", "yes", "a: b", "#x", "{retry}"], '["0", "yes", "a: b", "#x", "{retry}"]'),
    ],
    ids=["plain", "not plain"],
)
def test_a_proposed_value_is_the_same_text_in_yaml(names: list[str], written: str) -> None:
    assert Terms().assigned("dataset.classes", names) == f"spec.dataset.classes: {written}"


def test_a_value_that_is_missing_is_shown_and_never_an_error() -> None:
    error = UserError(dataset.DATA_CHANGED)
    assert str(error) == "DataChanged: <files> changed while being read"


def test_what_users_write_is_never_a_template() -> None:
    error = UserError(dataset.DATA_CHANGED, files="{retry} {field[x]} {0}")
    assert error.message == "{retry} {field[x]} {0} changed while being read"
