"""Tables of trials for the terminal."""

from collections.abc import Sequence

from rich.table import Table

from nas_tf.runs import TrialRecord


def best(trials: Sequence[TrialRecord]) -> Table:
    """Trials with their rewards and costs."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("reward", "stage 1", "stage 2", "parameters", "multiply-adds", "trial"):
        table.add_column(name, justify="right")
    table.add_column("genotype", overflow="fold")
    for trial in trials:
        rewards = [f"{stage.reward:.4f}" for stage in trial.stages]
        first, second = (*rewards, "", "")[:2]
        table.add_row(
            f"{trial.reward:.4f}",
            first,
            second,
            f"{trial.params:,}",
            f"{trial.madds / 1e9:.2f} B",
            trial.trial,
            trial.genotype,
        )
    return table


def line(trial: TrialRecord) -> str:
    """One finished trial in a line."""
    if trial.status == "failed":
        return f"trial {trial.trial} failed after {trial.seconds:.0f} s: {trial.stopped}"
    stages = " → ".join(f"{stage.reward:.4f}" for stage in trial.stages)
    stopped = ", stopped by the gate" if trial.stopped == "gate" else ""
    return (
        f"trial {trial.trial}: reward {stages}{stopped}, {trial.params / 1e6:.2f} M parameters, "
        f"{trial.madds / 1e9:.2f} B multiply-adds, {trial.seconds:.0f} s"
    )
