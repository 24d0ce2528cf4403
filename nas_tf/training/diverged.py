"""Why a network's training was given up."""


class Diverged(Exception):
    """The loss is no number any more; what was learnt before is kept."""
