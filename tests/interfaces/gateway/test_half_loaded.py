"""A gateway that does not know everything yet lets nobody in; once it does, it works without being touched."""

import copy
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from chassis.lifecycle import Listener
from chassis.settings import Settings, SettingsProblem
from interfaces.gateway.bootstrap import bootstrap
from interfaces.gateway.process import ConfigurationRefused, validate, write_bootstrap
from tests.interfaces.gateway.test_gateway import the_problem
from tests.support.gateway import Mesh, an_application, ready, started, until
from tests.support.servers import PrivateEnvoy, free_port
from tests.support.tokens import ISSUER, Issuer

pytestmark = pytest.mark.second_process

SETTINGS = Settings(
    token_issuer=ISSUER, gateway_keys_fresh_s=1.0, control_plane_addresses=(f"127.0.0.1:{free_port()}",)
)


def bearer(issuer: Issuer) -> dict[str, str]:
    issuer.now = time.time()
    return {"Authorization": f"Bearer {issuer.token()}"}


@asynccontextmanager
async def alone(folder: Path) -> AsyncIterator[tuple[Mesh, PrivateEnvoy, httpx.AsyncClient]]:
    """A gateway whose control plane has not started."""
    made = Mesh(folder, SETTINGS)
    envoy = await started(made.envoy())
    try:
        async with httpx.AsyncClient(base_url=envoy.url, timeout=20.0) as http:
            yield made, envoy, http
    finally:
        envoy.close()
        await made.close()


async def test_every_step_of_coming_up_is_closed_to_who_may_not_come_in(tmp_path: Path) -> None:
    issuer = Issuer(now=time.time())
    async with alone(tmp_path) as (mesh, _, http):
        the_problem(await http.get("/livez"), 503, "UNAVAILABLE")  # no routes
        the_problem(await http.get("/v1/me"), 401, "UNAUTHENTICATED")
        the_problem(await http.get("/v1/me", headers=bearer(issuer)), 401, "UNAUTHENTICATED")

        await mesh.start_control_plane()  # routes and empty clusters, but no application and no keys
        await until(lambda: _says(http, "/livez", "reached"))
        the_problem(await http.get("/livez"), 503, "UNAVAILABLE")
        the_problem(await http.get("/v1/me"), 401, "UNAUTHENTICATED")
        the_problem(await http.get("/v1/me", headers=bearer(issuer)), 401, "UNAUTHENTICATED")

        issuer.down = True  # an application that has no keys itself
        await mesh.serve(an_application(issuer, SETTINGS))
        await ready(http)
        the_problem(await http.get("/v1/me", headers=bearer(issuer)), 401, "UNAUTHENTICATED")

        issuer.down = False
        await until(lambda: _status(http, "/v1/nothing", bearer(issuer), 404))
        the_problem(await http.get("/v1/me"), 401, "UNAUTHENTICATED")


async def test_keys_come_and_go_and_the_control_plane_may_be_away(tmp_path: Path) -> None:
    issuer = Issuer(now=time.time())
    successor = Issuer(kid="key-2", now=time.time())
    async with alone(tmp_path) as (mesh, envoy, http):
        await mesh.start_control_plane()
        app = an_application(issuer, SETTINGS)
        await mesh.serve(app)
        await until(lambda: _status(http, "/v1/nothing", bearer(issuer), 404))
        assert (await http.get("/v1/nothing", headers=bearer(successor))).status_code == 401

        issuer.published.append(successor.jwk())
        await until(lambda: _status(http, "/v1/nothing", bearer(successor), 404))
        assert (await http.get("/v1/nothing", headers=bearer(issuer))).status_code == 404

        del issuer.published[0]
        await until(lambda: _status(http, "/v1/nothing", bearer(issuer), 401))
        assert (await http.get("/v1/nothing", headers=bearer(successor))).status_code == 404

        await mesh.stop_control_plane()
        await until(lambda: envoy.counter("control_plane.connected_state") == 0)
        assert (await http.get("/v1/nothing", headers=bearer(successor))).status_code == 404


async def _status(http: httpx.AsyncClient, path: str, headers: dict[str, str], status: int) -> bool:
    return (await http.get(path, headers=headers)).status_code == status


async def _says(http: httpx.AsyncClient, path: str, words: str) -> bool:
    return words in (await http.get(path)).text


def planted(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    config = copy.deepcopy(bootstrap(SETTINGS))
    change(config)
    return config


def manager(config: dict[str, Any]) -> dict[str, Any]:
    chain = config["static_resources"]["listeners"][0]["filter_chains"][0]
    found: dict[str, Any] = chain["filters"][0]["typed_config"]
    return found


ERRORS: dict[str, Callable[[dict[str, Any]], None]] = {
    "a field that Envoy does not know": lambda c: manager(c).update(normalise_path=True),
    "a value of another type": lambda c: manager(c).update(max_request_headers_kb="many"),
    "a filter that is not there": lambda c: manager(c)["http_filters"].insert(
        0, {"name": "x", "typed_config": {"@type": "type.googleapis.com/envoy.x.Y"}}
    ),
    "no router": lambda c: manager(c)["http_filters"].pop(),
    "a rule for a provider that is not there": lambda c: manager(c)["http_filters"][0]["typed_config"]["rules"][
        -1
    ].update(requires={"provider_name": "mustre"}),
    "a pattern that is none": lambda c: manager(c)["http_filters"][0]["typed_config"]["rules"].append(
        {"match": {"safe_regex": {"regex": "("}}}
    ),
    "a bucket that fills all the time": lambda c: manager(c)["http_filters"][1]["typed_config"]["token_bucket"].update(
        fill_interval="0.001s"
    ),
    "a cluster that is not there": lambda c: c["dynamic_resources"]["ads_config"]["grpc_services"][0][
        "envoy_grpc"
    ].update(cluster_name="control-plain"),
}


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    path = write_bootstrap(replace(SETTINGS, data_dir=tmp_path, metrics_listener=Listener("127.0.0.1", 9090)))

    assert json.loads(path.read_text())["static_resources"]["listeners"][0]["enable_reuse_port"] is False


@pytest.mark.parametrize("name", ERRORS)
def test_a_planted_error_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "planted.json"
    path.write_text(json.dumps(planted(ERRORS[name])))

    with pytest.raises(ConfigurationRefused):
        validate(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"control_plane_addresses": ()}, "MUSTER_CONTROL_PLANE_ADDRESS"),
        ({"gateway_admin_listener": Listener("0.0.0.0", 9901)}, "MUSTER_GATEWAY_ADMIN_LISTEN"),
        ({"gateway_admin_listener": Listener("gateway", 9901)}, "MUSTER_GATEWAY_ADMIN_LISTEN"),
        ({"gateway_tls_cert": Path("cert.pem")}, "MUSTER_GATEWAY_TLS_KEY"),
    ],
)
def test_an_unsafe_setting_is_refused_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsProblem, match=said):
        bootstrap(replace(SETTINGS, **changes))
