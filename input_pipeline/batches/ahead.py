"""Work done by threads ahead of whoever takes its results, within a bound on memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    threads: int,
    weigh: Callable[[Item], int] = lambda item: 0,
    most: int = 0,
) -> Iterator[Result]:
    """Applies a function to items in threads; results come in the items' order.

    Args:
        function: safe to call from several threads.
        items: any number of them; only what is worked on ahead is held.
        threads: calls at once.
        weigh: an item -> the bytes that its call and its result take.
        most: bytes of calls under way and of results that wait; one item may always be heavier.
    """
    pool = ThreadPoolExecutor(threads)
    waiting, held = deque(), 0
    try:
        for item in items:
            weight = weigh(item)
            # Twice the threads: none is idle while the oldest call takes its time.
            while waiting and (len(waiting) >= 2 * threads or held + weight > most > 0):
                future, freed = waiting.popleft()
                yield future.result()
                del future
                held -= freed
            waiting.append((pool.submit(function, item), weight))
            held += weight
        while waiting:
            yield waiting.popleft()[0].result()
    finally:
        pool.shutdown(cancel_futures=True)
