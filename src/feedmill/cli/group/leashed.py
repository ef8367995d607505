"""A feedmill command on a leash: ``python -m feedmill.cli.group.leashed join --follow`` ends with whoever started it.

Its standard input is a pipe that the starter holds open and never writes to. However the starter ends, kill -9
included, the system closes that pipe, and the command is told to end, then made to. Plain POSIX.
"""

from __future__ import annotations

import logging
import os
import signal
import threading

GRACE_S = 10.0


def main() -> None:
    """Run the command of ``sys.argv``, watching standard input."""
    threading.Thread(target=_watch, name="feedmill-leash", daemon=True).start()
    logging.basicConfig(format="%(levelname)s: %(message)s")
    from feedmill.cli.main import main as command

    command()


def _watch() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE_S)
    if os.getpgrp() == os.getpid():  # as the group's first, with what the command has started itself
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
