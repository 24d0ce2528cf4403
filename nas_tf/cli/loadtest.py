"""``nas-tf loadtest``: measures the latency and throughput of an endpoint under load."""

from collections import Counter

import click

from nas_tf.cli import options as endpoints
from nas_tf.errors import ServingError


@click.command("loadtest")
@click.argument("endpoint", metavar="URL/NAME")
@click.option(
    "--requests",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help="Number of requests.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    default=8,
    show_default=True,
    help="Number of requests at a time.",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Number of images in a request.",
)
@endpoints.VERSION
@endpoints.LABEL
@click.option(
    "--signature", default="serving_default", show_default=True, help="Signature to call."
)
def command(
    endpoint: str,
    requests: int,
    concurrency: int,
    batch: int,
    version: int | None,
    label: str | None,
    signature: str,
) -> None:
    """Measure the latency and throughput of a served model, with images of noise.

    Failed requests are counted; they are not repeated.

    \b
    nas-tf loadtest grpc://localhost:8500/street --label stable
    nas-tf loadtest http://localhost:8501/street --signature image_bytes --requests 50
    """
    address, name = endpoints.endpoint_and_model(endpoint, "endpoint")
    from nas_tf import quiet

    quiet.load("tensorflow")
    from serving import load_test
    from serving.client import Client, RetryPolicy

    once = RetryPolicy(attempts=1)
    with Client(address, name, version=version, label=label, retry=once) as client:
        send = load_test.noise_request(client, signature, batch)
        load = load_test.run(send, requests=requests, concurrency=concurrency)
    if load.taken:
        click.echo(
            f"{len(load.taken)} of {requests} requests answered in {load.seconds:.1f} s: "
            f"{load.throughput:.1f} requests/s, images per request: {batch}, at a time: "
            f"{concurrency}; latency "
            + ", ".join(f"p{share} {load.percentile(share):.0f} ms" for share in (50, 95, 99))
        )
    if load.refused:
        reason, count = Counter(load.refused).most_common(1)[0]
        raise ServingError(f"{len(load.refused)} requests failed, {count} with: {reason}")
