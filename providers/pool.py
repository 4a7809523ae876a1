"""Threads that go on with the work of the thread that asked them."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

T = TypeVar("T")


class ContextThreadPool(ThreadPoolExecutor):
    """A pool whose threads see the context variables of whoever submits: to whom a call is due, for one."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run ``fn`` in a copy of this thread's context."""
        return super().submit(copy_context().run, fn, *args, **kwargs)
