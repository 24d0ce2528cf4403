"""Numbers as a person says them."""

import math


def duration(seconds: float) -> str:
    """Seconds up to two minutes, then minutes or hours."""
    if round(seconds) < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def significant(value: float, digits: int) -> str:
    """A number to so many significant digits, never with an exponent."""
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    return f"{value:,.{max(0, digits - 1 - magnitude)}f}"


def milliseconds(value: float) -> str:
    """A latency: devices differ by a thousand times, so digits are what counts."""
    return f"{significant(value, 3)} ms"
