"""How signals stop a command: as Ctrl-C does, and surely."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_STOPPING = ("SIGTERM", "SIGHUP", "SIGINT")
_SOON = 0.05  # seconds, until what swallowed it is over


def heed_signals() -> None:
    """Let a terminated process clean up as after Ctrl-C, wherever the signal finds it.

    Python swallows what is raised in the callback of a weak reference or in a `__del__`: about one
    signal in 64 while networks are asked. So what stops a command is then raised once more.
    """
    for name in _STOPPING[:-1]:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    before = sys.unraisablehook

    def hook(swallowed: UnraisableHookArgs) -> None:
        if not issubclass(swallowed.exc_type, KeyboardInterrupt):
            before(swallowed)
            return
        timer = threading.Timer(_SOON, _stop_again)
        timer.daemon = True
        timer.start()

    sys.unraisablehook = hook


def _stop_again() -> None:
    """Send the main thread a signal that stops it, if there is one that does."""
    there = [number for name in _STOPPING if (number := getattr(signal, name, None)) is not None]
    heeded = [number for number in there if signal.getsignal(number) is signal.default_int_handler]
    main = threading.main_thread().ident
    for number in heeded[:1]:
        if hasattr(signal, "pthread_kill") and main is not None:
            signal.pthread_kill(main, number)  # ends a wait, too
        else:
            _thread.interrupt_main(number)
