"""`muster run control-plane`: the mesh's control plane with the gateway's routes."""

from functools import partial

from chassis.lifecycle import Listener, Running
from chassis.mesh import control_plane
from chassis.settings import Settings
from interfaces.gateway.routes import route_configuration


async def serve(settings: Settings, listener: Listener) -> Running:
    """Serve until stopped. Raises SettingsProblem without a registry, AddressTaken."""
    return await control_plane.serve(settings, listener, partial(route_configuration, settings=settings))
