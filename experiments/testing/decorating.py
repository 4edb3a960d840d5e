"""Context managers that also decorate: functions, coroutine functions and generators."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar, cast

__all__ = ["Decorating"]

F = TypeVar("F", bound=Callable[..., Any])


class Decorating(ABC):
    """Base of a context manager that lasts for the call of what it decorates.

    `contextlib.ContextDecorator` would leave before a coroutine runs and before a fixture has yielded.
    """

    @abstractmethod
    def __enter__(self) -> Any:
        """Begin; the same object may be entered again before it was left."""

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what the latest `__enter__` began."""

    def __call__(self, function: F) -> F:
        """Decorate a function, coroutine function or generator function.

        Raises:
            TypeError: a class, or an asynchronous generator.
        """
        if not inspect.isroutine(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{type(self).__name__} decorates functions, coroutines and generators, seen {function!r}")
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def coroutine(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

            return cast(F, coroutine)
        if inspect.isgeneratorfunction(function):

            @wraps(function)
            def generator(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return (yield from function(*args, **kwargs))

            return cast(F, generator)

        @wraps(function)
        def plain(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return cast(F, plain)
