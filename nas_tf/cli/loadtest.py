"""``nas-tf loadtest``: how much an endpoint answers, and how soon."""

from collections import Counter

import click

from nas_tf.errors import ConfigError, ServingError


@click.command("loadtest")
@click.argument("endpoint", metavar="URL/NAME")
@click.option("--requests", type=click.IntRange(1), default=200, show_default=True)
@click.option("--concurrency", type=click.IntRange(1, 256), default=8, show_default=True)
@click.option("--batch", type=click.IntRange(1, 64), default=1, show_default=True)
def command(endpoint: str, requests: int, concurrency: int, batch: int) -> None:
    """Ask the model at ENDPOINT as often as told, with images of noise.

    \b
    nas-tf loadtest grpc://localhost:8500/street
    nas-tf loadtest http://localhost:8501/street --requests 50 --concurrency 2
    """
    address, _, name = endpoint.rpartition("/")
    if "://" not in address or not name:
        raise ConfigError(f"endpoint is {endpoint!r}, expected such as grpc://localhost:8500/NAME")
    from nas_tf import quiet

    quiet.load("tensorflow")
    import numpy as np

    from serving import load
    from serving.client import Client
    from serving.signatures import DEFAULT, IMAGES

    with Client(address, name) as client:
        height, width = client.signatures[DEFAULT].inputs[IMAGES].shape[1:3]
        shape = (batch, height, width, 3)
        images = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        came = load.run(client, images, requests=requests, concurrency=concurrency)
    click.echo(
        f"{len(came.taken)} of {requests} answered in {came.seconds:.1f} s: "
        f"{came.throughput:.1f}/s of {batch} images each, {concurrency} at a time; "
        + ", ".join(f"p{share} {came.percentile(share):.0f} ms" for share in (50, 95, 99))
    )
    if came.refused:
        reason, count = Counter(came.refused).most_common(1)[0]
        raise ServingError(f"{len(came.refused)} requests failed, {count} with: {reason}")
