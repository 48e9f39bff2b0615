"""Identity on the wire, and the cryptography that it needs."""
