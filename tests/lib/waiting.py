"""Waiting for a condition with a deadline: the only way that these tests let time pass."""

import time


def until(condition, seconds, what, every=0.02):
    """The first true value of `condition()`. When the time is over: AssertionError with `what`, the last
    value and the last error; assertion errors inside the condition count as "not yet"."""
    deadline = time.monotonic() + seconds
    value, error = None, None
    while True:
        try:
            value, error = condition(), None
        except AssertionError as caught:
            error = caught
        if error is None and value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {seconds} s: {what}; last: {error or value!r}") from error
        time.sleep(every)


def holds(condition, seconds, what, every=0.02):
    """Asserts that `condition()` stays true for so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), what
        time.sleep(every)
