"""What the pool knows of one function, and of one template."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..function import Function
    from .invocation import Invocation
    from .process import ProcessEnvironment
    from .slot import Slot
    from .template import Template

SHORT = 0.001
"""Seconds: to a function whose recent invocations all took less, one invocation is sent ahead into a busy
environment, which closes the gap between two (twice the throughput on two cores). Behind a longer one, an invocation
sent ahead would wait although another environment becomes free."""
FADE = 0.99
"""How fast the longest recent duration is forgotten, for each invocation."""


class Lane:
    """What the pool knows of one function."""

    __slots__ = ("direct", "function", "idle", "live", "longest", "provision_after", "slots", "templates", "waiting")

    def __init__(self, function: Function, templates: Templates) -> None:
        self.function = function
        self.templates = templates
        self.idle: deque[ProcessEnvironment] = deque()
        self.direct: deque[ProcessEnvironment] = deque()
        """Idle ones that are lent to callers' threads: taken and given back without the event loop."""
        self.waiting: deque[Invocation] = deque()
        self.slots: list[Slot] = []
        self.live = 0
        self.longest = 1.0
        self.provision_after = 0.0
        """When the next environment may be provisioned, after one that could not start."""

    def holds(self, environment: ProcessEnvironment) -> bool:
        """Whether it is an environment of this function as code and configuration are now."""
        return environment.configuration is self.function and environment.template is self.templates.template

    @property
    def is_short(self) -> bool:
        """Whether sending ahead is wise."""
        return self.longest < SHORT

    def learn(self, duration: float) -> None:
        """Learn from how long an invocation took."""
        longest = self.longest * FADE
        self.longest = max(longest, duration)

    def claim(self, environment: ProcessEnvironment) -> bool:
        """Take this idle environment for good; False if somebody else, a caller's thread say, has it."""
        for idle in (self.idle, self.direct):
            try:
                idle.remove(environment)
            except ValueError:
                continue
            return True
        return False

    def borrow(self) -> ProcessEnvironment | None:
        while True:
            try:
                environment = self.direct.pop()
            except IndexError:
                return None
            if environment.reason is None:
                return environment


class Templates:
    """The template of one bundle and the spare environment that is ready for any of its functions."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.spare: ProcessEnvironment | None = None

    def take(self) -> ProcessEnvironment | None:
        environment, self.spare = self.spare, None
        if environment is None or environment.reason is not None:
            environment = self.template.fork()
        return environment

    def keep_spare(self) -> None:
        if self.spare is None or self.spare.reason is not None:
            with suppress(OSError):  # Whoever needs one will hear of it.
                self.spare = self.template.fork()
