"""Formats numbers for readers."""

import math


def duration(seconds: float) -> str:
    """Formats a duration: in seconds up to two minutes, then in minutes or hours."""
    if round(seconds) < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def score(value: float) -> str:
    """Formats a score or reward to four decimals, a tiny one to three significant digits."""
    return f"{value:.3g}" if 0 < abs(value) < 0.001 else f"{value:.4f}"


def significant(value: float, digits: int) -> str:
    """Formats a number to ``digits`` significant digits, never with an exponent."""
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    return f"{value:,.{max(0, digits - 1 - magnitude)}f}"


def milliseconds(value: float) -> str:
    """Formats a latency to three digits: devices differ by a factor of a thousand."""
    return f"{significant(value, 3)} ms"
