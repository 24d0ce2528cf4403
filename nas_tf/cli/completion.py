"""Completes words in a shell: configurations and their keys, genotypes and runs."""

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from nas_tf.errors import NasTfError

_NAME, _USUAL = "config_name", "camvid_auxcell"


def configurations(_: click.Context, __: click.Parameter, word: str) -> list[CompletionItem]:
    """Completes the name of a shipped configuration, or the path of a file."""
    from nas_tf.config import names

    return _beginning(names(), word) or [CompletionItem(word, type="file")]


def keys(ctx: click.Context, _: click.Parameter, word: str) -> list[CompletionItem]:
    """Completes a key of the configuration that the command is given, without its value."""
    from nas_tf.config import dump, load
    from nas_tf.runs.load import dotted

    try:
        config = load(ctx.params.get(_NAME) or _USUAL)
    except NasTfError:
        return []
    return _beginning((f"{key}=" for key in dotted(dump(config))), word)


def genotypes(_: click.Context, __: click.Parameter, word: str) -> list[CompletionItem]:
    """Completes the name of a published genotype, or the folder of a run."""
    from nas_tf.spaces import PUBLISHED

    return _beginning(PUBLISHED, word) or [CompletionItem(word, type="dir")]


def _beginning(names: Iterable[str], word: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in sorted(names) if name.startswith(word)]
