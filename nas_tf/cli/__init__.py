"""The ``nas-tf`` command: names are registered here, a command's file is imported when called."""

import importlib
import logging
import signal
import sys
import threading
from typing import Any

import click

from nas_tf.errors import EnvironmentFault, NasTfError, full_disk, meant

_REPEAT_AFTER_SECONDS = 0.05

_SECTIONS = {
    "Search": {
        "quickstart": "Run a small search on drawn scenes, with every technique on, in minutes.",
        "search": "Search a space for the best networks on a data set.",
        "status": "Show the progress of a search: trials, best rewards, failures.",
        "best": "List the best trials of a search.",
        "show": "Describe, count and draw a genotype, or a trial of a search.",
        "report": "Write the report of a search: an HTML page and its pictures.",
        "compare": "Compare the rewards of several searches, with significance and curves.",
        "rerank": "Train the best trials and a sample of the rest longer, and check the ranking.",
        "export-study": "Write a search to an Optuna study, for its plots and dashboard.",
    },
    "Train": {
        "evaluate": "Train and score one genotype in stages, as a search does.",
        "train": "Train a genotype in full; resumable, with a table and a picture.",
        "train-teacher": "Train a wide network that candidates learn to imitate.",
        "finetune": "Train a trained network further, on another task.",
        "score": "Score a trained or exported network on a split of a data set.",
    },
    "Ship": {
        "compress": "Quantise, prune or cluster a trained network by fine-tuning it.",
        "export": "Export a network for TF Serving, phones and boards, and compare the formats.",
        "predict": "Draw the predictions of an exported network over pictures.",
        "benchmark": "Measure the latency of TFLite models on this machine.",
        "serve": "Show how TF Serving serves an export, write its files, or start it.",
        "loadtest": "Measure the latency and throughput of an endpoint under load.",
    },
    "Data and configuration": {
        "data": "List, prepare, check and show data sets.",
        "config": "List the shipped configurations, and show one with every key.",
    },
    "Spaces": {
        "spaces": "List the search spaces and published genotypes.",
        "sample": "Print random genotypes of a search space.",
        "cost": "Count parameters and multiply-adds of many genotypes (JSON lines).",
        "build": "Build the Keras model of a genotype and save it.",
    },
    "Machine": {
        "doctor": "Check versions, processor, memory, disk, data and tools, and suggest fixes.",
        "profile-ops": "Measure the latency of a space's operations, for searches with limits.",
    },
}
_COMMANDS = {name: text for section in _SECTIONS.values() for name, text in section.items()}


class LazyGroup(click.Group):
    """A group whose commands live in ``nas_tf.cli.<name>`` and are imported when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in alphabetical order."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the one command asked for."""
        if cmd_name not in _COMMANDS:
            return None
        return importlib.import_module(f"nas_tf.cli.{cmd_name.replace('-', '_')}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Names the nearest of the commands where there is none of the name."""
        if args[0] not in _COMMANDS and not ctx.resilient_parsing:
            ctx.fail(f"No such command {args[0]!r}{meant(args[0], _COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands by section, without importing any of them."""
        for section, commands in _SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl(list(commands.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nas-tf", prog_name="nas-tf")
def nas_tf() -> None:
    """Search, train and ship small networks for dense prediction."""


def main() -> None:
    """Runs the command line; a user's mistake is one line on standard error."""
    _repeat_dropped_interrupts()
    _Lines.show()
    try:
        ended = nas_tf(prog_name="nas-tf", standalone_mode=False)
        code = ended if isinstance(ended, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.UsageError as error:
        code = _tell(_misused(error), error.exit_code)
    except click.Abort as error:
        if isinstance(error.__cause__, EOFError):  # click takes it for one of a prompt
            raise error.__cause__ from None
        code = _tell("stopped", 130)
    except NasTfError as error:
        code = _tell(error, error.exit_code)
    except Exception as error:
        path = getattr(error, "filename", None) if isinstance(error, OSError) else None
        told = full_disk(error, path or "a file")
        if told is None and path is None:
            raise
        told = told or EnvironmentFault(f"{path}: {error.strerror}")
        code = _tell(told, told.exit_code)
    # Out here the error and the frames it held are gone, and with them every open data stream:
    # one that is still reading when Python ends can wait for ever.
    sys.exit(code)


class _Lines(logging.Handler):
    """Prints what the package logs as plain lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one line, on whatever standard error is now."""
        click.echo(self.format(record), err=True)

    @classmethod
    def show(cls) -> None:
        """Takes the package's log over from TensorFlow, which prints it with a prefix."""
        logger = logging.getLogger("nas_tf")
        if not any(isinstance(handler, cls) for handler in logger.handlers):
            logger.addHandler(cls())
        logger.propagate = False


def _tell(told: object, code: int) -> int:
    click.echo(f"nas-tf: {' '.join(str(told).split())}", err=True)
    return code


def _misused(error: click.UsageError) -> str:
    """What is wrong with the words of a command, and where its help is."""
    command = error.ctx.command_path if error.ctx else "nas-tf"
    told = error.format_message().strip().rstrip(".")
    return f"{told} (see {command} --help)"


def _repeat_dropped_interrupts() -> None:
    """Repeats a Ctrl-C that Python drops because it arrives while an object is destroyed."""
    before = sys.unraisablehook

    def report(dropped: Any) -> None:
        if dropped.exc_type is not KeyboardInterrupt:
            return before(dropped)
        main = threading.main_thread().ident
        again = threading.Timer(_REPEAT_AFTER_SECONDS, signal.pthread_kill, (main, signal.SIGINT))
        again.daemon = True
        again.start()

    sys.unraisablehook = report
