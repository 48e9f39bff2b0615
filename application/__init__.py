"""FastAPI application services: REST operations that compose the contexts over gRPC; stateless."""
