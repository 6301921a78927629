"""A run that another operator serves for a while: what this one knew of its attempts is older than the status then."""

from __future__ import annotations

from typing import cast

from trainingrun.engine.agents import HttpAgents
from trainingrun.engine.cache import Cache
from trainingrun.engine.progress_puller import ProgressPuller
from trainingrun.engine.reconciler import Reconciler
from trainingrun.engine.workqueue import WorkQueue
from trainingrun.kube.client import Api
from trfakes.builders import SETTINGS, a_run


async def test_forgets_the_progress_of_a_run_that_another_operator_serves() -> None:
    run, cache, queue, api = a_run().build(), Cache(), WorkQueue(), cast("Api", None)
    puller = ProgressPuller(api, cache=cache, queue=queue, agents=HttpAgents())
    reconciler = Reconciler(api, cache=cache, queue=queue, puller=puller, settings=SETTINGS)
    cache.put_run(run)
    cache.report_progress(run.uid, run.key, {"podUID": "a", "done": 90})
    reconciler.leave(run.key)
    assert not cache.progress
    assert cache.runs[run.key] == run, "the run itself is still observed"
