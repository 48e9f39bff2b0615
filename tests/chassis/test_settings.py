"""The environment is read as a whole, and everything wrong with it is told at once."""

import pickle
from pathlib import Path

import pytest

from chassis.lifecycle import Listener
from chassis.settings import Settings, SettingsProblem

SERVICES = ("organization", "attendance")


def test_an_empty_environment_is_a_working_one() -> None:
    settings = Settings.read({}, SERVICES)

    assert settings.database_url("organization").startswith("sqlite:////")
    assert settings.database_url("organization").endswith("/muster-data/organization.sqlite3")
    assert settings.settle_margin_s("organization") == 0.0
    assert settings.listener("organization") == Listener()


def test_each_service_has_its_own_database_address_and_listener() -> None:
    settings = Settings.read(
        {
            "MUSTER_ORGANIZATION_DATABASE_URL": "mysql+asyncmy://root:pw@127.0.0.1:3306/organization",
            "MUSTER_ORGANIZATION_ADDRESS": "10.0.0.1:5001",
            "MUSTER_ATTENDANCE_ADDRESS": "unix:/run/attendance.sock",
            "MUSTER_ORGANIZATION_LISTEN": "0.0.0.0:5001",
        },
        SERVICES,
    )

    assert settings.settle_margin_s("organization") == 6.0
    assert settings.settle_margin_s("attendance") == 0.0
    assert settings.address("organization") == "10.0.0.1:5001"
    assert settings.address("attendance") == "unix:/run/attendance.sock"
    assert settings.listener("organization") == Listener("0.0.0.0", 5001)


def test_the_edge_listens_where_it_is_told_and_is_no_service() -> None:
    settings = Settings.read({"MUSTER_HTTP_LISTEN": "0.0.0.0:8081"}, SERVICES)

    assert settings.http_listener == Listener("0.0.0.0", 8081)


def test_every_problem_is_told_at_once_with_its_variable_and_what_to_do() -> None:
    with pytest.raises(SettingsProblem) as caught:
        Settings.read(
            {
                "MUSTER_POOL_SIZE": "many",
                "MUSTER_SETTLE_MARGIN_S": "1.4",
                "MUSTER_ORGANISATION_ADDRESS": "10.0.0.1:5001",
                "MUSTER_ORGANIZATION_DATABASE_URL": "postgres://amy:hunter2@db/x",
                "MUSTER_ATTENDANCE_ADDRESS": "10.0.0.1:0",
                "MUSTER_HTTP_LISTEN": "8080",
                "MUSTER_COLOUR": "red",
                "MUSTER_REDIS_URL": "",
                "MUSTER_REFLECTION": "maybe",
            },
            SERVICES,
        )

    problems = caught.value.problems
    assert len(problems) == 9
    assert any(one.startswith("MUSTER_POOL_SIZE ") and "a whole number from 1 to 200" in one for one in problems)
    assert any(one.startswith("MUSTER_ORGANISATION_ADDRESS ") and "organization, attendance" in one for one in problems)
    assert any(one.startswith("MUSTER_SETTLE_MARGIN_S ") and "seconds from 1.5 to 60" in one for one in problems)
    assert any(one.startswith("MUSTER_COLOUR is not a setting") for one in problems)
    assert "hunter2" not in str(caught.value)


def test_a_keyring_inside_the_data_folder_is_refused() -> None:
    with pytest.raises(SettingsProblem, match="does not carry its keys"):
        Settings.read({"MUSTER_DATA_DIR": "/srv/muster", "MUSTER_KEYRING_PATH": "/srv/muster/keys/keyring"})


def test_the_keyring_lies_beside_the_data_folder() -> None:
    assert Settings.embedded(Path("/srv/muster")).keyring == Path("/srv/muster.keyring")


def test_a_missing_address_names_its_variable() -> None:
    with pytest.raises(SettingsProblem, match="MUSTER_ORGANIZATION_ADDRESS is missing"):
        Settings().address("organization")


def test_secrets_are_not_shown() -> None:
    environment = {
        "MUSTER_ORGANIZATION_DATABASE_URL": "mysql+asyncmy://root:hunter2@127.0.0.1:3306/organization",
        "MUSTER_REDIS_URL": "redis://:hunter2@127.0.0.1:6379/0",
    }

    assert "hunter2" not in repr(Settings.read(environment))


def test_settings_travel_to_worker_processes() -> None:
    settings = Settings.read({"MUSTER_ORGANIZATION_ADDRESS": "10.0.0.1:5001"})

    assert pickle.loads(pickle.dumps(settings)) == settings


@pytest.mark.parametrize("text", ["", "unix:", "host", "host:", ":80", "host:http", "host:70000", "host:-1"])
def test_a_listener_of_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unix:/|host:port"):
        Listener.parse(text)


@pytest.mark.parametrize("text", ["127.0.0.1:0", "[::1]:8080", "localhost:80", "unix:/run/x.sock"])
def test_a_listener_is_written_as_it_is_read(text: str) -> None:
    assert Listener.parse(text).target == text


def test_without_an_address_a_service_is_asked_for_at_the_control_plane() -> None:
    settings = Settings.read(
        {
            "MUSTER_CONTROL_PLANE_ADDRESS": "10.0.0.7:18000,10.0.0.8:18000",
            "MUSTER_ORGANIZATION_ADDRESS": "dns:///organization:5001",
        },
        SERVICES,
    )

    assert settings.control_plane_addresses == ("10.0.0.7:18000", "10.0.0.8:18000")
    assert settings.address("organization") == "dns:///organization:5001"
    assert settings.address("attendance") == "xds:///attendance"


def test_the_control_plane_has_a_listener_as_a_service_has() -> None:
    settings = Settings.read({"MUSTER_CONTROL_PLANE_LISTEN": "0.0.0.0:18000"}, (*SERVICES, "control-plane"))

    assert settings.listener("control-plane") == Listener("0.0.0.0", 18000)


@pytest.mark.parametrize("url", ["etcd://a:2379,b:2379", "etcd://[::1]:2379", "file:///run/muster/registry"])
def test_a_registry_is_named_by_its_url(url: str) -> None:
    assert Settings.read({"MUSTER_REGISTRY_URL": url}).registry_url == url


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("MUSTER_REGISTRY_URL", "etcd://"),
        ("MUSTER_REGISTRY_URL", "etcd://host"),
        ("MUSTER_REGISTRY_URL", "file://folder"),
        ("MUSTER_REGISTRY_URL", "consul://a:1"),
        ("MUSTER_ADVERTISE_HOST", "two words"),
        ("MUSTER_CONTROL_PLANE_ADDRESS", "10.0.0.7"),
        ("MUSTER_CONTROL_PLANE_ADDRESS", "10.0.0.7:0"),
    ],
)
def test_an_address_of_the_mesh_that_nobody_could_reach_is_refused(variable: str, text: str) -> None:
    with pytest.raises(SettingsProblem, match=variable):
        Settings.read({variable: text})
