"""Settings of the whole test run."""

from hypothesis import HealthCheck, settings

# The contract suites are inherited, so that one test runs on several classes.
settings.register_profile(
    "nas_tf", deadline=None, suppress_health_check=[HealthCheck.differing_executors]
)
settings.load_profile("nas_tf")
