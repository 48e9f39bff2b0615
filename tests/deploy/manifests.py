"""What deploy/ holds, read as its users' programs read it."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from chassis.settings import Settings
from interfaces.cli.parts import PARTS

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
BASE = DEPLOY / "kubernetes" / "base"
EXAMPLE = "Example1234"

Document = dict[str, Any]


@cache
def compose() -> Document:
    """deploy/compose.yaml, its anchors and merges resolved."""
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8")))


def parts_of(document: Document) -> dict[str, Document]:
    """The services of a compose file that run a part, by the part."""
    return {
        service["command"][1]: service
        for service in document["services"].values()
        if isinstance(service.get("command"), list) and service["command"][0] == "run"
    }


def kubernetes() -> Iterator[tuple[Path, Document]]:
    """Every resource of the Kubernetes base, with its file."""
    for path in sorted(BASE.glob("*.yaml")):
        if path.name != "kustomization.yaml":
            for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
                yield path, document


def of_kind(kind: str) -> dict[str, Document]:
    """The base's resources of one kind, by name."""
    return {one["metadata"]["name"]: one for _, one in kubernetes() if one["kind"] == kind}


def filled_in(environment: Mapping[str, Any]) -> dict[str, str]:
    """An environment as a process sees it, every ${VARIABLE} with some value."""
    return {name: re.sub(r"\$\{[^}]*\}", EXAMPLE, str(value)) for name, value in environment.items()}


def read(environment: Mapping[str, str]) -> Settings:
    """What the program makes of an environment. Raises SettingsProblem for a name or value that it does not know."""
    return Settings.read(dict(environment), PARTS)
