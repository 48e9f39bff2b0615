"""How processes find each other: a registry of who serves what, and the control plane that tells clients and Envoy."""
