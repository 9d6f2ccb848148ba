"""The one thread in which pictures are decoded, so that memory holds one decoded picture at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@lru_cache(maxsize=1)
def _bench() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictures")


async def run_in_image_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` beside the event loop, after whatever is being decoded already."""
    return await asyncio.get_running_loop().run_in_executor(_bench(), partial(work, *args, **kwargs))
