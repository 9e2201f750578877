"""Lines say how far work is, and what is left of it; a silent process says nothing."""

import pytest

from iqa_jax.host import progress
from iqa_jax.host.progress import be_silent, complain, meter, note, say


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is moved."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_lines_go_where_they_belong(capsys):
    say("an answer")
    note("a remark")
    complain(ValueError("it is wrong"))
    # A name that is no valid text is shown, not refused.
    say("photo \udcff.jpg")
    out, errors = capsys.readouterr()
    assert out.splitlines()[0] == "an answer" and out.splitlines()[1].startswith("photo ")
    assert errors == "a remark\nerror: it is wrong\n"


def test_a_silent_process_complains_and_says_nothing_else(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_is_silent", False)
    be_silent()
    say("an answer")
    note("a remark")
    with meter("work", 2) as work:
        work.update(2)
    complain(ValueError("it is wrong"))
    assert capsys.readouterr() == ("", "error: it is wrong\n")


def test_a_line_comes_every_ten_seconds_and_at_the_end(capsys, clock):
    with meter("work", 100) as work:
        for done, seconds in ((0, 0), (5, 9.9), (10, 0.2), (20, 9), (50, 1), (100, 0)):
            clock[0] += seconds
            work.update(done, f"loss {done}")
    # Ten of a hundred in 10.1 seconds: nine times as long is left.
    assert capsys.readouterr().out.splitlines() == [
        "work 10/100  loss 10  91 s left".replace("91 s", "2 min"),
        "work 50/100  loss 50  20 s left",
        "work 100/100  loss 100",
    ]


def test_what_was_done_before_tells_nothing_of_the_pace(capsys, clock):
    with meter("work", 100) as work:
        work.update(90)
        clock[0] += 20
        work.update(95)
    assert capsys.readouterr().out == "work 95/100    20 s left\n"


def test_without_a_total_nothing_is_said_to_be_left(capsys, clock):
    with meter("work") as work:
        for done in (1, 2):
            clock[0] += 11
            work.update(done)
    assert capsys.readouterr().out == "work 1\nwork 2\n"
