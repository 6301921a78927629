"""Finds the data sets, records and reports in a bucket that no run needs.

Invariant: survey.py only reads, plan.py decides in one pure function, and only what it returns is deleted.
"""

from trainingrun_agent.prune.plan import Deletion, Plan, plan
from trainingrun_agent.prune.survey import Survey, survey

__all__ = ["Deletion", "Plan", "Survey", "plan", "survey"]
