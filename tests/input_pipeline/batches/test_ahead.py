"""Threads that work ahead keep the order, and to what memory they may take."""

import threading
import time

import pytest

from input_pipeline.batches.ahead import map_ahead


def test_results_come_in_order_whoever_is_first():
    def work(number):
        time.sleep(0.01 if number % 4 == 0 else 0)
        return number * number

    assert list(map_ahead(work, range(40), threads=4)) == [n * n for n in range(40)]


def test_what_waits_is_bounded():
    held, highest, lock = 0, 0, threading.Lock()
    weights = [3, 1, 4, 1, 5, 9, 2, 6, 50, 5, 3, 5] * 3

    def work(weight):
        nonlocal held, highest
        with lock:
            held += weight
            highest = max(highest, held)
        return weight

    taken = []
    for weight in map_ahead(work, weights, threads=4, weigh=lambda weight: weight, most=12):
        time.sleep(0.002)  # Whoever takes them is slower than the threads.
        taken.append(weight)
        with lock:
            held -= weight
    # One that is heavier than all may take is worked on all the same, but alone.
    assert taken == weights and highest == 50
    assert max(w for w in weights if w < 50) < 12


def test_nothing_is_begun_that_nobody_asks_for():
    begun = []

    def work(number):
        begun.append(number)
        return number

    results = map_ahead(work, iter(range(1000)), threads=2)
    assert next(results) == 0
    results.close()
    assert len(begun) <= 6


def test_an_error_comes_where_its_result_would():
    results = map_ahead(lambda number: 1 / (2 - number), range(5), threads=2)
    assert [next(results), next(results)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)
