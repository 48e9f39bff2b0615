"""The gateway: Envoy's configuration from the one table of operations, and the service that counts for all gateways."""
