"""The one setting that gRPC reads from the environment only: where its control planes are."""

import os
import re
import socket

import orjson

from chassis.settings import Settings

VARIABLE = "GRPC_XDS_BOOTSTRAP_CONFIG"


def prepare_xds(settings: Settings) -> None:
    """Tell gRPC of the control planes; before the first channel to an `xds:` target."""
    addresses = settings.control_plane_addresses
    # One target of many addresses goes on to the next at once. gRPC's own list of servers does so only for what it has
    # not heard of yet, but it is the only way to give names.
    numeric = all(re.fullmatch(r"[0-9.]+:[0-9]+", address) for address in addresses)
    targets = [f"ipv4:{','.join(addresses)}"] if numeric else [f"dns:///{address}" for address in addresses]
    servers = [
        {"server_uri": target, "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}
        for target in targets
    ]
    node = {"id": f"{socket.gethostname()}-{os.getpid()}"}
    os.environ[VARIABLE] = orjson.dumps({"xds_servers": servers, "node": node}).decode()
