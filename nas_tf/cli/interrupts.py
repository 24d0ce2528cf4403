"""Ctrl-C that comes while an object is destroyed: Python drops it there, and all would go on."""

import signal
import sys
import threading
from typing import Any

_SOON = 0.05


def keep() -> None:
    """From now on such a Ctrl-C comes again a moment later."""
    before = sys.unraisablehook

    def told(dropped: Any) -> None:
        if dropped.exc_type is not KeyboardInterrupt:
            return before(dropped)
        main = threading.main_thread().ident
        again = threading.Timer(_SOON, signal.pthread_kill, (main, signal.SIGINT))
        again.daemon = True
        again.start()

    sys.unraisablehook = told
