"""Settings of the whole test run."""

import os
import signal

from hypothesis import HealthCheck, settings

# A shell that starts the tests in the background has them, and all they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The contract suites are inherited, so that one test runs on several classes. Examples are the
# same in every run, so that what fails here fails there; `make fuzz` looks for new ones.
settings.register_profile(
    "nas_tf",
    max_examples=100 * int(os.environ.get("NAS_TF_FUZZ", 1)),
    deadline=None,
    derandomize="NAS_TF_FUZZ" not in os.environ,
    suppress_health_check=[HealthCheck.differing_executors],
)
settings.load_profile("nas_tf")
