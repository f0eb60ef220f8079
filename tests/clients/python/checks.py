"""What the Python drivers share: one printed line a check, and waiting with a deadline."""

import contextlib
import random
import sys
import time
import traceback
import uuid

# How long anything may take before a check fails.
PATIENCE_S = 120.0


@contextlib.contextmanager
def check(what):
    """Prints that the block went well, or ends the driver with what went wrong."""
    try:
        yield
    except Exception:
        traceback.print_exc(file=sys.stdout)
        print(f"FAILED  {what}", flush=True)
        sys.exit(1)
    print(f"ok      {what}", flush=True)


def equal(found, expected):
    """Values may be megabytes: only the beginning of each is shown."""
    if found != expected:
        raise AssertionError(f"found {str(found)[:300]}, expected {str(expected)[:300]}")


def until(what, condition):
    """Waits until the condition's result is neither None nor False, and returns it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        result = condition()
        # Not its truth: a message with an empty value is false.
        if result is not None and result is not False:
            return result
        time.sleep(0.05)
    raise AssertionError(f"waited {PATIENCE_S} s in vain: {what}")


def fails_with(expected, action):
    """Requires that the action raises an error that `expected` accepts."""
    try:
        result = action()
    except Exception as error:
        if not expected(error):
            raise AssertionError(f"another error than expected: {error!r}") from error
        return
    raise AssertionError(f"no error but {str(result)[:300]}")


def unique(purpose):
    """A name that no other run uses."""
    return f"t-{purpose}-{uuid.uuid4().hex[:12]}"


def noise(size, seed):
    """Bytes that no codec can shrink."""
    return random.Random(seed).randbytes(size)
