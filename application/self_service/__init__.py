"""Self-service: what people ask about themselves."""
