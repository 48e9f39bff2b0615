"""The parts of the distributed form, by name. Imports nothing heavy: operators' commands need the names only."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chassis.mesh.registry import Wire

SERVICES = ("identity", "organization", "attendance", "payroll", "delivery")
PARTS = (*SERVICES, "application", "push", "control-plane", "ratelimit", "gateway")
PROTOCOLS: "dict[str, Wire]" = {  # of those that register
    **dict.fromkeys(SERVICES, "grpc"),
    "application": "http",
    "push": "http",
    "ratelimit": "grpc",
}
