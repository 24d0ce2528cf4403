"""The pages on the oracles agree with the code."""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import yaml

import tuner_oracles
from tuner_oracles.durable import DurableOracle
from tuner_oracles.ppo import PRESETS

DOCS = Path(__file__).parents[2] / "docs"


def test_every_oracle_has_its_page() -> None:
    page = (DOCS / "oracles/README.md").read_text()
    for name, link in re.findall(r"\| \[`(\w+)`\]\((\w+\.md)\)", page):
        assert hasattr(tuner_oracles, name)
        assert (DOCS / "oracles" / link).read_text().startswith(f"# {name}\n")
    oracles = [name for name in tuner_oracles.__all__ if name.endswith("Oracle")]
    assert len(re.findall(r"\| \[`(\w+)`\]", page)) == len(oracles)


def test_the_table_of_presets() -> None:
    page = (DOCS / "oracles/ppo.md").read_text()
    rows = re.findall(r"^\| (`.+) \| (.+) \| (.+) \|$", page, re.MULTILINE)
    documented = set()
    for names, *columns in rows:
        for preset, cells in zip(("fast", "paper"), columns, strict=True):
            words = {"yes": "True", "no": "False"}
            values = [words.get(cell, cell) for cell in cells.split(", ")]
            for name, value in zip(re.findall(r"`(\w+)`", names), values, strict=True):
                assert getattr(PRESETS[preset], name) == ast.literal_eval(value), name
                documented.add(name)
    fields = {field.name for field in dataclasses.fields(PRESETS["fast"])}
    assert fields - documented == {"repeat_cost"}


def test_common_arguments_are_described() -> None:
    page = (DOCS / "oracles/README.md").read_text() + (DOCS / "how-to/cluster.md").read_text()
    own = set(inspect.signature(DurableOracle.__init__).parameters) - {
        *("self", "searcher", "objective", "max_trials", "hyperparameters", "seed", "kwargs")
    }
    assert {name for name in own if f"`{name}" not in page} == set()


def test_the_manifest() -> None:
    parts = {
        (part["kind"], part["metadata"]["name"]): part
        for part in yaml.safe_load_all((DOCS / "how-to/cluster.yaml").read_text())
    }
    chief, worker = parts["Job", "search-chief"], parts["Job", "search-worker"]

    def variables(job: dict) -> dict[str, str]:
        container = job["spec"]["template"]["spec"]["containers"][0]
        return {item["name"]: item.get("value") for item in container["env"]}

    commands = [
        job["spec"]["template"]["spec"]["containers"][0]["command"] for job in (chief, worker)
    ]
    assert commands[0] == commands[1]
    for job in (chief, worker):
        (container,) = job["spec"]["template"]["spec"]["containers"]
        ends, drained = job["spec"]["podFailurePolicy"]["rules"]
        assert ends["action"] == "FailJob"
        assert ends["onExitCodes"] == {
            "containerName": container["name"],
            "operator": "In",
            "values": [2, 3],
        }
        assert drained["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
        # The API server refuses the policy for Pods that restart their containers themselves.
        assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert variables(chief)["NAS_TF_CACHE"] == variables(worker)["NAS_TF_CACHE"]
    port = str(parts["Service", "search-chief"]["spec"]["ports"][0]["port"])
    assert variables(chief)["KERASTUNER_TUNER_ID"] == "chief"
    assert variables(worker)["KERASTUNER_TUNER_ID"] == "worker-$(INDEX)"
    assert variables(worker)["KERASTUNER_ORACLE_IP"] == "search-chief"
    assert (
        variables(chief)["KERASTUNER_ORACLE_PORT"]
        == variables(worker)["KERASTUNER_ORACLE_PORT"]
        == port
    )
    labels = {
        name: part["spec"]["template"]["metadata"]["labels"]
        for (_, name), part in (part for part in parts.items() if part[0][0] == "Job")
    }
    policy = parts["NetworkPolicy", "search-chief"]["spec"]
    assert policy["podSelector"]["matchLabels"] == labels["search-chief"]
    assert policy["ingress"][0]["from"][0]["podSelector"]["matchLabels"] == labels["search-worker"]
    assert parts["Service", "search-chief"]["spec"]["selector"] == labels["search-chief"]
