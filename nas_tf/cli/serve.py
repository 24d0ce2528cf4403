"""``nas-tf serve``: serves an exported SavedModel with TF Serving, or prints how."""

import shlex
import shutil
import subprocess
from pathlib import Path

import click

from nas_tf.errors import ConfigError, EnvironmentFault
from nas_tf.jobs import environment


@click.command("serve")
@click.argument("export", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", help="Name of the model (default: the folder's name).")
@click.option("--files", is_flag=True, help="Write files for Docker and Kubernetes.")
@click.option(
    "--stable", type=int, help="With --files: the version for clients (default: the newest)."
)
@click.option("--canary", type=int, help="With --files: a second version to try in production.")
@click.option(
    "--image", metavar="REPOSITORY", help="With --files: the image that Kubernetes pulls."
)
@click.option("--start", is_flag=True, help="Start TF Serving in Docker.")
def command(
    export: Path,
    name: str | None,
    files: bool,
    stable: int | None,
    canary: int | None,
    image: str | None,
    start: bool,
) -> None:
    """Print how to serve EXPORT, a folder that `nas-tf export` wrote, with TF Serving.

    \b
    nas-tf serve exports/street
    nas-tf serve exports/street --start
    nas-tf serve exports/street --files        # deploy/: Dockerfile, Compose, Kubernetes
    nas-tf serve exports/street --files --stable 1 --canary 2
    """
    from serving import deployment

    newest = deployment.versions(export)[-1]
    name = deployment.named(name or deployment.name_of(export.resolve().name))
    if not files and (stable, canary, image) != (None, None, None):
        raise ConfigError("--stable, --canary or --image is given, expected --files with it")
    if start:
        _check_docker()
    if files:
        release = deployment.Release(newest if stable is None else stable, canary)
        for path in deployment.write(export, name, release, image=image):
            click.echo(f"wrote {path}")
        docker = deployment.compose_command(export)
        click.echo(
            f"serve {release} as {name} with Docker:\n  {shlex.join(docker)}\n"
            "or follow the first lines of Dockerfile or kubernetes.yaml\n"
            f"then: {_predict_command(name, *release.labels)}"
        )
    else:
        deployment.check_complete(export, newest)
        docker = deployment.docker_command(export, name)
        base = shlex.quote(str((export / "savedmodel").resolve()))
        click.echo(
            f"serve version {newest} as {name} with Docker:\n  {shlex.join(docker)}\n"
            "or with tensorflow_model_server 2.15 or newer:\n"
            f"  tensorflow_model_server --port=8500 --rest_api_port=8501 --model_name={name} "
            f"--model_base_path={base}\n"
            f"then: {_predict_command(name)}"
        )
    if start:
        raise click.exceptions.Exit(subprocess.run(docker).returncode)


def _check_docker() -> None:
    """Raises EnvironmentFault if Docker cannot start anything, before anything is written."""
    docker = shutil.which("docker")
    if docker is None:
        raise EnvironmentFault("--start needs Docker, which is not installed")
    if not environment.daemon_answers(docker):
        raise EnvironmentFault(
            f"--start needs Docker, and the daemon of {docker} does not answer: start it, or run "
            "the same without --start for the command of tensorflow_model_server"
        )


def _predict_command(name: str, label: str = "", *others: str) -> str:
    """Returns the command that predicts with the served model, by its first label if any."""
    option = f" --label {label}" if label else ""
    more = f" (or {', '.join(others)})" if others else ""
    return f"nas-tf predict --endpoint grpc://localhost:8500/{name} photo.jpg{option}{more}"
