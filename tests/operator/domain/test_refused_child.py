"""What the status says about an object that the API server does not create."""

from __future__ import annotations

import pytest

from trainingrun.api import reasons
from trainingrun.domain.draft import MAX_CAUSE
from trainingrun.domain.refused_child import RefusedChild

POLICY = "ValidatingAdmissionPolicy 'labels' with binding 'labels' denied request: needs the label cost-center"


@pytest.mark.parametrize(
    "preface", ["", 'jobs.batch "tire-prep-1" is forbidden: ', 'Job.batch "tire-prep-1" is invalid: ']
)
def test_the_words_of_a_policy_are_not_cut_off_by_what_the_server_repeats(preface: str) -> None:
    shown = RefusedChild("Job", "tire-prep-1", preface + POLICY).text(MAX_CAUSE)
    assert shown == f"Job tire-prep-1 cannot be created yet: {POLICY}. {reasons.CREATION_REFUSED.hint}"


def test_the_next_step_is_kept_where_the_words_are_cut() -> None:
    shown = RefusedChild("Job", "tire-prep-1", "no " * 1000).text(MAX_CAUSE)
    assert len(shown) <= MAX_CAUSE
    assert shown.endswith(f"… {reasons.CREATION_REFUSED.hint}")
