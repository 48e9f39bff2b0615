"""Messages, the gRPC services, and the road to receivers."""
