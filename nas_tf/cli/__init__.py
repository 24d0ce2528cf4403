"""The ``nas-tf`` command: lists all commands, and imports a command when it is called."""

import importlib
import logging
import sys
from collections.abc import Sequence

import click

from nas_tf.errors import EnvironmentFault, NasTfError, did_you_mean, full_disk
from nas_tf.jobs import interrupts

_SECTIONS = {
    "Search": {
        "quickstart": "Run a small search on synthetic scenes with every technique, in minutes.",
        "search": "Search a space for the best networks on a data set.",
        "runs": "List searches, trainings and studies with their progress and size; remove them.",
        "status": "Show the progress of a search: trials, best rewards, failures.",
        "best": "List the best trials of a search.",
        "show": "Describe and draw a genotype, or a trial of a search, and count its costs.",
        "report": "Write the report of a search: an HTML page and its figures.",
        "compare": "Compare the rewards of several searches, with significance and curves.",
        "rerank": "Train the best trials and a sample of the others longer; check the ranking.",
        "study": "Measure how well cheaper trainings of candidates rank them, and their time.",
        "track": "Copy the figures of a search or a training to MLflow or Weights & Biases.",
        "export-study": "Write a search to an Optuna study, for Optuna's plots and dashboard.",
    },
    "Train": {
        "trial": "Train and score one genotype in stages, as a search does.",
        "train": "Train a genotype in full; resumable, with a table and a plot.",
        "train-teacher": "Train a wide network that candidates learn to imitate.",
        "finetune": "Train a trained network further, on another task.",
        "evaluate": "Evaluate a trained or exported network on a split of a data set.",
    },
    "Deploy": {
        "compress": "Quantise, prune or cluster a trained network by fine-tuning it.",
        "export": "Export a network for TF Serving, phones and boards, and compare the formats.",
        "demo": "Run exported networks on a page in a browser, on a phone too, with its camera.",
        "predict": "Draw the predictions of an exported network on pictures.",
        "benchmark": "Measure the latency of TFLite models on this machine.",
        "serve": "Print how to serve an export with TF Serving, write its files, or start it.",
        "loadtest": "Measure the latency and throughput of an endpoint under load.",
    },
    "Data and configuration": {
        "data": "List, prepare, check and show data sets.",
        "config": "List the shipped configurations, and print one with every key.",
    },
    "Spaces": {
        "spaces": "List the search spaces and published genotypes.",
        "sample": "Print random genotypes of a search space.",
        "cost": "Count the parameters and multiply-adds of many genotypes (JSON lines).",
        "derive": "Read cells and paths off a super-net's weights (JSON lines).",
        "build": "Build the Keras model of a genotype and save it.",
    },
    "Machine": {
        "doctor": "Check versions, processor, memory, disk, data and tools, and suggest fixes.",
        "profile-ops": "Measure the latency of a space's operations, for limits and goals.",
    },
}
_COMMANDS = {name: text for section in _SECTIONS.values() for name, text in section.items()}
_FORMER_NAMES = {"trial": "evaluate with --config", "evaluate": "score"}
"""The names in 0.1.0 of commands that were renamed."""


class LazyGroup(click.Group):
    """A group whose commands are modules ``nas_tf.cli.<name>``, imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names in alphabetical order."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the named command; returns None if there is none."""
        if cmd_name not in _COMMANDS:
            return None
        return importlib.import_module(f"nas_tf.cli.{cmd_name.replace('-', '_')}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolves a command; for an unknown name the error suggests the nearest command."""
        if (current := _current_name(args)) != args[0]:
            click.echo(f"nas-tf: {_FORMER_NAMES[current]} is now called {current}", err=True)
            args = [current, *args[1:]]
        if args[0] not in _COMMANDS and not ctx.resilient_parsing:
            ctx.fail(f"No such command {args[0]!r}{did_you_mean(args[0], _COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands by section, without importing any of them."""
        for section, commands in _SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl(list(commands.items()))


def _current_name(args: Sequence[str]) -> str:
    """Returns the present name of a command; in 0.1.0, ``evaluate`` was what ``trial`` is now."""
    if args[0] == "evaluate" and any(arg.partition("=")[0] == "--config" for arg in args):
        return "trial"
    return "evaluate" if args[0] == "score" else args[0]


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nas-tf", prog_name="nas-tf")
def nas_tf() -> None:
    """Search, train and deploy small networks for dense prediction."""


def main() -> None:
    """Runs the command line; prints a user's mistake as one line on standard error."""
    interrupts.repeat_dropped()
    _PlainLog.install()
    try:
        result = nas_tf(prog_name="nas-tf", standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.UsageError as error:
        code = _print_error(_usage_message(error), error.exit_code)
    except click.Abort as error:
        if isinstance(error.__cause__, EOFError):  # click mistakes it for a prompt's
            raise error.__cause__ from None
        code = _print_error("stopped", 130)
    except NasTfError as error:
        code = _print_error(error, error.exit_code)
    except Exception as error:
        path = getattr(error, "filename", None) if isinstance(error, OSError) else None
        fault = full_disk(error, path or "a file")
        if fault is None and path is None:
            raise
        fault = fault or EnvironmentFault(f"{path}: {error.strerror}")
        code = _print_error(fault, fault.exit_code)
    # Here the error and the frames that it held are gone, and with them every open data stream:
    # a stream that is still reading when Python ends can wait for ever.
    sys.exit(code)


class _PlainLog(logging.Handler):
    """A log handler that prints the package's messages as plain lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one line on the current standard error."""
        click.echo(self.format(record), err=True)

    @classmethod
    def install(cls) -> None:
        """Replaces TensorFlow's handler, which prints the package's log with a prefix."""
        logger = logging.getLogger("nas_tf")
        if not any(isinstance(handler, cls) for handler in logger.handlers):
            logger.addHandler(cls())
        logger.propagate = False


def _print_error(message: object, code: int) -> int:
    click.echo(f"nas-tf: {' '.join(str(message).split())}", err=True)
    return code


def _usage_message(error: click.UsageError) -> str:
    """Returns click's message for wrong arguments, with the command that prints the help."""
    command = error.ctx.command_path if error.ctx else "nas-tf"
    message = error.format_message().strip().rstrip(".")
    return f"{message} (see {command} --help)"
