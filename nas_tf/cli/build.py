"""``nas-tf build``: saves the Keras model of a genotype."""

from pathlib import Path

import click

from nas_tf import files, networks, quiet, spaces
from nas_tf.cli import completion, options
from nas_tf.errors import ConfigError
from nas_tf.networks.encoders import Encoder


@click.command("build")
@click.argument("genotype", metavar="GENOTYPE", shell_complete=completion.genotypes)
@options.SPACE
@options.WIDTH
@options.SEP_REPEATS
@options.ENCODER
@options.DECODER
@options.CLASSES
@options.INPUT
@click.option(
    "--auxiliary",
    type=click.Choice(["cell", "classifier", "none"]),
    default="none",
    show_default=True,
    help="Auxiliary head of each block of an auxiliary-cell decoder.",
)
@click.option("--alpha", type=float, help="Width of MobileNetV2 (default: that of --encoder).")
@click.option(
    "--weights",
    metavar="imagenet|drawn|FILE",
    help="Weights of the encoder (default: random).",
)
@click.option(
    "--out",
    type=options.OUT_FILE,
    required=True,
    help="File of the model; its name ends in .keras.",
)
def command(
    genotype: str,
    space: spaces.SearchSpace | None,
    width: int | None,
    sep_repeats: int | None,
    encoder: Encoder | None,
    decoder: str | None,
    alpha: float | None,
    classes: int | None,
    input_size: tuple[int, int] | None,
    auxiliary: str,
    weights: str | None,
    out: Path,
) -> None:
    """Build the Keras model of GENOTYPE and save it.

    Without --input the model accepts images of any size.

    \b
    nas-tf build wacv-arch0 --classes 11 --out wacv-arch0.keras --weights imagenet
    """
    if out.suffix != ".keras":
        raise ConfigError(f"--out is {out}, expected a name that ends in .keras")
    resolved = spaces.resolve(genotype, space)
    chosen = options.given(
        width=width, sep_repeats=sep_repeats, encoder=encoder, decoder=decoder, alpha=alpha
    )
    settings = networks.settings.published(resolved.space, **chosen, auxiliary=auxiliary)
    head = networks.heads.segmentation(classes if classes is not None else 21)
    networks.blueprint_of(resolved, head, input_size=input_size, settings=settings)
    quiet.load("tensorflow")
    model = networks.build(
        resolved, head, input_size=input_size, settings=settings, weights=weights
    )
    with files.atomic(out) as partial:
        model.save(partial)
    trainable = sum(weight.shape.num_elements() for weight in model.trainable_weights)
    click.echo(f"{out}: {len(model.layers)} layers, {trainable:,} trainable parameters")
