"""Learning rates over a stage, as plain functions of the step."""

from nas_tf.config.schema import Schedule


def factor(schedule: Schedule, step: int, steps: int) -> float:
    """What the learning rate is multiplied by at a step of a stage of so many steps."""
    if step < schedule.warmup_steps:
        return (step + 1) / schedule.warmup_steps
    share = step / steps
    if schedule.kind == "poly":
        return max(0.0, 1 - share / schedule.span) ** schedule.power
    if schedule.kind == "step":
        return schedule.factor ** sum(share >= at for at in schedule.at)
    return 1.0
