"""Finds the data sets, records and reports in a bucket that no run needs, and the runs that are over.

Invariant: survey.py and runs.py only read, plan.py and run_plan.py decide in pure functions, and only what these return
is deleted.
"""

from trainingrun_agent.prune.plan import Deletion, Plan, plan
from trainingrun_agent.prune.run_plan import RunRules, plan_runs, unknown
from trainingrun_agent.prune.runs import StoredRun, survey_runs
from trainingrun_agent.prune.survey import Survey, survey

__all__ = [
    "Deletion",
    "Plan",
    "RunRules",
    "StoredRun",
    "Survey",
    "plan",
    "plan_runs",
    "survey",
    "survey_runs",
    "unknown",
]
