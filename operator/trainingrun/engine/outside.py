"""What an operator touches outside its own process: clocks, the API server, agents, probes, chance, its own end."""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from trainingrun.api.clock import SYSTEM, Clock
from trainingrun.engine.agents import Agents, HttpAgents
from trainingrun.kube.client import Api


@dataclass(frozen=True)
class Outside:
    """The real ones by default. Whoever replaces them all has an operator whose every step follows from them."""

    clock: Clock = SYSTEM
    connect: Callable[[], Awaitable[Api]] = Api.connect
    agents: Agents = field(default_factory=HttpAgents)
    jitter: Callable[[], float] = random.random
    serves_probes: bool = True
    exit: Callable[[int], None] = os._exit  # without cleaning up: the kubelet starts a new process
