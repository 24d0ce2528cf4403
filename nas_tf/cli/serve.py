"""``nas-tf serve``: an exported SavedModel behind TF Serving."""

import shlex
import shutil
import subprocess
from pathlib import Path

import click

from nas_tf.cli import doctor_checks
from nas_tf.errors import ConfigError, EnvironmentFault


@click.command("serve")
@click.argument("export", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", help="Name of the model (default: the folder's name).")
@click.option("--files", is_flag=True, help="Also write files for Docker and Kubernetes.")
@click.option(
    "--stable", type=int, help="With --files: the version that clients get (default: the newest)."
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
    """Show how TF Serving serves EXPORT, a folder that `nas-tf export` wrote, or start it.

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
            f"{release.tag} as {name}, by Docker:\n  {shlex.join(docker)}\n"
            "or as the first lines of Dockerfile and kubernetes.yaml tell\n"
            f"then: {_question(name, *release.labels)}"
        )
    else:
        deployment.check_complete(export, newest)
        docker = deployment.docker_command(export, name)
        base = shlex.quote(str((export / "savedmodel").resolve()))
        click.echo(
            f"version {newest} as {name}, by Docker:\n  {shlex.join(docker)}\n"
            "or by a tensorflow_model_server of 2.15 or newer:\n"
            f"  tensorflow_model_server --port=8500 --rest_api_port=8501 --model_name={name} "
            f"--model_base_path={base}\n"
            f"then: {_question(name)}"
        )
    if start:
        raise click.exceptions.Exit(subprocess.run(docker).returncode)


def _check_docker() -> None:
    """Raises where nothing can be started, before anything is written or advised."""
    docker = shutil.which("docker")
    if docker is None:
        raise EnvironmentFault("--start needs Docker and there is none on this machine")
    if not doctor_checks.answers(docker):
        raise EnvironmentFault(
            f"--start needs Docker, and the daemon of {docker} does not answer: start it, or see "
            "without --start how tensorflow_model_server is called"
        )


def _question(name: str, label: str = "", *others: str) -> str:
    """The command that asks what was started, by the first of its labels if it has any."""
    which = f" --label {label}" if label else ""
    more = f" (or {', '.join(others)})" if others else ""
    return f"nas-tf predict --endpoint grpc://localhost:8500/{name} photo.jpg{which}{more}"
