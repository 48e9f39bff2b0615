"""Between the wire and the handlers."""
