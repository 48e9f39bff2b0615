"""The directory finds what a linear search over the routes would find."""

import pytest

from application.edge.directory import Directory

PATHS = Directory(
    [
        ("GET", "/v1/employees", "list"),
        ("POST", "/v1/employees", "hire"),
        ("POST", "/v1/employees/batch", "hire many"),
        ("GET", "/v1/employees/{employee_id}", "get"),
        ("DELETE", "/v1/employees/{employee_id}/future-changes/{change_id}", "cancel"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/v1/employees", ("list", {})),
        ("POST", "/v1/employees/batch", ("hire many", {})),
        ("GET", "/v1/employees/batch", ("get", {"employee_id": "batch"})),
        ("GET", "/v1/employees/7", ("get", {"employee_id": "7"})),
        ("DELETE", "/v1/employees/7/future-changes/8", ("cancel", {"employee_id": "7", "change_id": "8"})),
        ("PUT", "/v1/employees", None),
        ("GET", "/v1/employees/", None),
        ("GET", "/v1//employees", None),
        ("GET", "v1/employees", None),
        ("GET", "", None),
        ("GET", "/v1/employees/7/8", None),
    ],
)
def test_a_path_leads_to_one_thing(method: str, path: str, found: tuple[str, dict[str, str]] | None) -> None:
    assert PATHS.find(method, path) == found


def test_the_methods_of_a_path_are_all_of_its_places() -> None:
    assert PATHS.methods("/v1/employees/batch") == {"GET", "POST"}
    assert PATHS.methods("/v1/nothing") == set()


def test_the_same_method_and_path_twice_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="given twice"):
        Directory([("GET", "/a/{x}", 1), ("GET", "/a/{y}", 2)])
