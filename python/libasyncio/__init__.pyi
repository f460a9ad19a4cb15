# Types of the package.
import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar('_T')

__all__ = ['EventLoopPolicy', 'Loop', 'install', 'new_event_loop', 'run']
__version__: str

class Loop(asyncio.SelectorEventLoop): ...
class EventLoopPolicy(asyncio.DefaultEventLoopPolicy): ...

def new_event_loop() -> Loop: ...
def install() -> None: ...
def run(
    main: Coroutine[Any, Any, _T],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> _T: ...
