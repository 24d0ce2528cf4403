"""Numbers as a person says them."""


def duration(seconds: float) -> str:
    """Seconds, minutes or hours."""
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
