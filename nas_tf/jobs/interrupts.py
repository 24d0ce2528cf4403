"""Ctrl-C that Python drops."""

import signal
import sys
import threading
from typing import Any

_REPEAT_AFTER_SECONDS = 0.05


def repeat_dropped() -> None:
    """Repeats a Ctrl-C that Python drops because it arrives while an object is destroyed."""
    previous_hook = sys.unraisablehook

    def on_unraisable(dropped: Any) -> None:
        if dropped.exc_type is not KeyboardInterrupt:
            return previous_hook(dropped)
        main = threading.main_thread().ident
        timer = threading.Timer(_REPEAT_AFTER_SECONDS, signal.pthread_kill, (main, signal.SIGINT))
        timer.daemon = True
        timer.start()

    sys.unraisablehook = on_unraisable
