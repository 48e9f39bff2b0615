"""Where accounts, sessions, tenants and signing keys are kept."""
