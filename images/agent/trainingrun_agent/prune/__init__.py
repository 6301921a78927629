"""Tidying a bucket: which data sets, records and reports nobody needs any more.

Invariant: what is read is decided on in one pure function (plan.py); only what it returns is deleted.
"""

from trainingrun_agent.prune.plan import Deletion, Plan, plan
from trainingrun_agent.prune.survey import Survey, survey

__all__ = ["Deletion", "Plan", "Survey", "plan", "survey"]
