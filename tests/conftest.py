"""Settings of the whole test run."""

import signal

from hypothesis import HealthCheck, settings

# A shell that starts the tests in the background has them, and all they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The contract suites are inherited, so that one test runs on several classes.
settings.register_profile(
    "nas_tf", deadline=None, suppress_health_check=[HealthCheck.differing_executors]
)
settings.load_profile("nas_tf")
