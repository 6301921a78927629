"""The stories that schedules tell: see story.py for what they are made of."""

from __future__ import annotations

from typing import Final

from trchaos import moments
from trchaos.story import (
    ALWAYS,
    BEFORE_A_JOB,
    CHANGED,
    ENDED,
    Act,
    Story,
    calls,
    lasting,
    late,
    one_of,
    refused,
    unstored,
)

STORIES: Final = (
    late(
        ["POST"],
        "configmaps",
        (moments.RUN_CREATED,),
        when=(moments.DOCUMENT_CREATED,),
        kinds=("run deleted", "child deleted", *CHANGED[:2]),
    ),
    late(
        ["POST"],
        "jobs",
        BEFORE_A_JOB,
        when=(moments.JOB_CREATED, moments.JOB_CREATED, moments.BEGAN),
        kinds=(*("child deleted",) * 5, "run deleted", "containers ended", "run suspended"),
    ),
    late(
        ["PATCH"],
        "trainingruns",
        (moments.RUN_CREATED,),
        when=(moments.STATUS_SENT, moments.STATUS_STORED, moments.STATUS_STORED),
        kinds=("run deleted", "run deleted", "run deleted", "child deleted", "run suspended", "retry raised"),
    ),
    late(
        ["PATCH"],
        "trainingruns",
        (moments.POD_ENDED, moments.BEGAN),
        when=(moments.POD_ENDED, moments.JOB_CREATED),
        kinds=("run deleted", "run deleted", "child deleted", *ENDED, *CHANGED),
    ),
    late(
        ["DELETE"],
        "jobs",
        (moments.BEGAN, moments.POD_ENDED),
        when=(moments.JOB_DELETED,),
        kinds=("run suspended", "retry raised", "finish asked", "run deleted", "child deleted"),
    ),
    unstored(
        (moments.JOB_SENT,),
        kinds=("child deleted", "child deleted", "containers ended", "pod force deleted"),
        when=(moments.JOB_CREATED, moments.BEGAN),
    ),
    unstored(
        (moments.BEGAN, moments.POD_ENDED, moments.JOB_ENDED),
        kinds=(*CHANGED, "child deleted", "containers ended", "operator killed"),
        when=(moments.BEGAN, moments.POD_ENDED, moments.JOB_ENDED),
    ),
    # What a pod needs goes before it starts.
    Story(
        (
            Act(
                ("child deleted",),
                (moments.DOCUMENT_CREATED, moments.JOB_SENT, moments.JOB_CREATED, moments.POD_CREATED),
                {"of": one_of("configmaps")},
                within=(0.001, 1.0),
            ),
            Act(("operator killed", "document replaced", "status forged"), (moments.JOB_CREATED,), likely=0.3),
        )
    ),
    # The operator is upgraded, and cannot make again what the one before has accepted.
    Story(
        (
            Act(("operator of another version",), (moments.STATUS_STORED, moments.BEGAN), within=(0.01, 20.0)),
            Act(
                ("child deleted",),
                (moments.POD_CREATED, moments.BEGAN),
                {"of": one_of("configmaps")},
                within=(0.1, 30.0),
                likely=0.7,
            ),
            Act(("retry raised", "operator killed", *ENDED), (moments.BEGAN,), within=(1.0, 300.0), likely=0.5),
        )
    ),
    # The prepared data set is deleted while an attempt reads it, or before the next one does.
    Story(
        (
            Act(("data set lost",), (moments.BEGAN,), {"times": one_of(1, 2, 4)}, within=(0.1, 20.0)),
            Act(("containers ended",), (moments.BEGAN,), within=(5.0, 60.0), likely=0.7),
            Act(("operator killed", *CHANGED), (moments.POD_ENDED, moments.JOB_CREATED), likely=0.3),
        )
    ),
    # An attempt ends while no other can begin: nobody may create a Job, or what is created is called wrong.
    refused((*("admission refuses",) * 3, "quota full"), "policy"),
    refused(("admission refuses",), "denied", "found invalid", "field", "webhook down"),
    # A pod is over, and its Job does not say so yet.
    Story(
        (
            Act(("Job controller late",), (moments.POD_ENDED,), within=(0.001, 0.01)),
            Act((*ENDED, "pod evicted", "node lost"), (moments.BEGAN,), within=(5.0, 90.0)),
            Act(
                ("watches with a gap",),
                (moments.POD_CREATED, moments.BEGAN),
                {"of": one_of("pods"), "seconds": lasting(20.0, 300.0)},
                within=(0.01, 0.1),
                likely=0.6,
            ),
        ),
        spec={"startDeadlineSeconds": one_of(10, 10, 20, 30)},
    ),
    # A pod that has long worked is removed by force, and its Job does not say so yet.
    Story(
        (
            Act(("Job controller late",), (moments.BEGAN,), {"seconds": one_of(12.0)}, within=(30.0, 31.0)),
            Act(("pod force deleted",), (moments.BEGAN,), within=(31.0, 36.0)),
        ),
        spec={"startDeadlineSeconds": one_of(10, 20, 30)},
    ),
    # An operator cannot renew its Lease, and another one takes over.
    Story(
        (
            Act(
                ("operator cut off", "operator frozen"),
                (moments.RUN_CREATED, moments.BEGAN),
                {"of": one_of("operator"), "seconds": lasting(40.0, 200.0)},
            ),
            Act(
                ("second operator",),
                (moments.RUN_CREATED, moments.BEGAN),
                {"namespaces": one_of([]), "seconds": lasting(300.0, 900.0)},
                within=(1.0, 30.0),
            ),
            Act(
                (*ENDED, "child deleted", "run suspended", "run deleted", "run deleted"),
                (moments.BEGAN,),
                {"again": one_of(1.0, 5.0)},
                within=(1.0, 300.0),
                likely=0.7,
            ),
        )
    ),
    # A run is retried when it is about to be deleted, and the operator does not see it.
    Story(
        (
            Act(
                ("containers ended",),
                (moments.BEGAN,),
                {"outcome": one_of("userError")},
                within=(1.0, 10.0),
            ),
            Act(("watches silent",), (moments.POD_ENDED,), {"of": one_of("trainingruns")}, within=(0.001, 0.5)),
            Act(("retry raised",), (moments.POD_ENDED,), within=(0.5, 15.0)),
        ),
        spec={"ttlSecondsAfterFinished": one_of(2, 10)},
    ),
    # A Job was created, which the operator does not see, and then the server calls it invalid.
    Story(
        (
            Act(
                ("calls fail",),
                BEFORE_A_JOB,
                calls(
                    ["POST"],
                    "jobs",
                    takesEffect=one_of(True),
                    status=one_of(0, 500, 504),
                    seconds=lasting(0.1, 0.5),
                ),
                within=(0.001, 0.01),
            ),
            Act(
                ("watches silent",),
                BEFORE_A_JOB,
                {"of": one_of("jobs"), "seconds": lasting(10.0, 60.0)},
                within=(0.001, 0.01),
            ),
            Act(
                ("watches silent",),
                BEFORE_A_JOB,
                {"of": one_of("pods"), "seconds": lasting(10.0, 60.0)},
                within=(0.001, 0.01),
            ),
            Act(
                ("admission refuses",),
                (moments.JOB_CREATED,),
                {**ALWAYS, "of": one_of("jobs"), "why": one_of("own field")},
                within=(0.01, 0.5),
            ),
        )
    ),
    # What a run has is deleted while no watch is connected.
    Story(
        (
            Act(
                ("watches with a gap",),
                (moments.JOB_CREATED, moments.BEGAN),
                {"of": one_of("", "", "jobs"), "seconds": lasting(5.0, 100.0)},
                within=(0.01, 5.0),
            ),
            Act(
                ("child deleted", "child deleted", "pod force deleted"),
                (moments.BEGAN,),
                {"of": one_of("jobs", "pods")},
                within=(1.0, 10.0),
            ),
        )
    ),
    # Somebody forges what a run is to be accepted with.
    Story(
        (
            Act(
                ("document forged",),
                (moments.STATUS_STORED, moments.BEGAN),
                {"again": lasting(1.0, 10.0), "seconds": lasting(60.0, 300.0)},
            ),
            Act(("operator killed", "child deleted"), (moments.BEGAN,), within=(1.0, 60.0), likely=0.3),
        )
    ),
    # What a run was accepted with is replaced before its next attempt.
    Story(
        (
            Act(("document replaced",), (moments.STATUS_STORED, moments.BEGAN), within=(0.01, 5.0)),
            Act((*ENDED, "run suspended"), (moments.BEGAN,), {"of": one_of("jobs")}, within=(1.0, 30.0)),
            Act(("operator killed",), (moments.BEGAN,), within=(1.0, 30.0), likely=0.3),
        )
    ),
    # A run is suspended, or changed otherwise, while its next attempt waits for its time.
    Story(
        (
            Act(
                ("containers ended",),
                (moments.BEGAN,),
                {"outcome": one_of("crash", "storageOutage", "killed")},
                within=(0.5, 20.0),
            ),
            Act(
                (*("run suspended",) * 5, "operator killed", "retry raised", "finish asked"),
                (moments.POD_ENDED,),
                {"seconds": one_of(None, 60.0, 120.0)},
                within=(0.1, 6.0),
            ),
        )
    ),
    # Something else suspends Jobs and lets them go on.
    Story(
        (
            Act(
                ("queue of Jobs",),
                (moments.RUN_CREATED, moments.BEGAN),
                {"preempts": one_of(0.4, 0.8), "seconds": lasting(60.0, 1200.0)},
            ),
            Act((*ENDED, "pod stuck", "operator killed", "Job controller late"), (moments.BEGAN,), within=(1.0, 60.0)),
        ),
        spec={"startDeadlineSeconds": one_of(10, 20, 30, 300)},
    ),
    # A Job that something else holds has to go, and stays.
    Story(
        (
            Act(
                ("queue of Jobs",),
                (moments.RUN_CREATED,),
                {"preempts": one_of(0.4, 0.8), "seconds": lasting(300.0, 1200.0)},
                within=(0.001, 0.01),
            ),
            Act(
                ("calls fail",),
                (moments.JOB_CREATED,),
                calls(
                    ["DELETE"],
                    "jobs",
                    status=one_of(500, 503),
                    takesEffect=one_of(False),
                    seconds=lasting(60.0, 300.0),
                ),
                within=(0.01, 1.0),
            ),
            Act(("run suspended",), (moments.JOB_CREATED,), {"seconds": lasting(2.0, 20.0)}, within=(1.0, 20.0)),
        )
    ),
    # What an agent reports comes by other ways, or from another process.
    Story(
        (
            Act(("agents out of reach",), (moments.BEGAN,), within=(5.0, 120.0)),
            Act((*ENDED, "operator killed", "second operator"), (moments.BEGAN,), within=(10.0, 200.0), likely=0.5),
        )
    ),
)
