"""Alerts and dashboards ask for figures that exist, and every alert leads to its runbook."""

import json
import re
from collections.abc import Iterator
from importlib import import_module

import promql_parser
import pytest
import yaml
from prometheus_client import REGISTRY

from interfaces.cli.parts import PARTS
from interfaces.cli.run import main_of
from tests.deploy.manifests import DEPLOY, ROOT

FOREIGN = ("envoy_", "process_", "up")  # of Envoy, of the client library, of Prometheus itself
SUFFIXES = ("_bucket", "_count", "_sum", "_total", "")


def rules() -> Iterator[dict[str, object]]:
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"]:
        yield from group["rules"]


def questions() -> dict[str, str]:
    """Every PromQL expression, by where it stands."""
    asked = {f"alert {rule['alert']}": str(rule["expr"]) for rule in rules()}
    for path in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                asked[f"{path.name} {panel['title']} {target['refId']}"] = target["expr"]
    return asked


def known() -> set[str]:
    """The figures that our processes tell."""
    for part in set(PARTS) - {"gateway"}:  # which is Envoy
        main_of(part)
    for module in ("chassis.bus.consumer", "chassis.metrics"):
        import_module(module)
    return {f"{family.name}{suffix}" for family in REGISTRY.collect() for suffix in SUFFIXES}


def named(expression: str) -> set[str]:
    """The figures that an expression asks for."""
    without_labels = re.sub(r"\{[^}]*\}|\"[^\"]*\"|\b(by|on|without|group_left) *\([^)]*\)", "", expression)
    return {word for word in re.findall(r"[a-z_]{2,}(?![a-z_(]| *\()", without_labels) if "_" in word or word == "up"}


@pytest.mark.parametrize("expression", questions().values(), ids=questions())
def test_a_question_is_promql_and_asks_for_figures_that_exist(expression: str) -> None:
    promql_parser.parse(expression)

    unknown = {name for name in named(expression) if not name.startswith(FOREIGN)} - known() - {"histogram_quantile"}
    assert unknown == set()


def test_a_figure_that_nobody_tells_would_be_noticed() -> None:
    assert named('rate(muster_requests_total{part="a_b"}[5m]) > 1') - known() == {"muster_requests_total"}


def test_operations_that_are_asked_for_exist() -> None:
    from application.app import operations

    wanted = {
        name
        for text in questions().values()
        for names in re.findall(r'operation=~"([^"]+)"', text)
        for name in names.split("|")
    }

    assert wanted
    assert wanted <= {route.name for route in operations()}


def test_every_alert_leads_to_a_section_of_the_runbooks() -> None:
    text = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
    anchors = {heading.strip().lower().replace(" ", "-") for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    for rule in rules():
        labels, annotations = rule["labels"], rule["annotations"]
        assert isinstance(labels, dict)
        assert isinstance(annotations, dict)
        assert labels["severity"] in ("page", "ticket"), rule["alert"]
        page, _, anchor = annotations["runbook"].partition("#")
        assert page == "docs/runbooks.md"
        assert anchor in anchors, rule["alert"]
        assert annotations["summary"], rule["alert"]


def test_every_part_is_scraped() -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())["scrape_configs"][0]

    assert sorted(scraped["dns_sd_configs"][0]["names"]) == sorted(PARTS)
