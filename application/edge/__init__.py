"""The strict edge of the REST interface: what every operation has in common."""
