"""Identity: signing in, accounts and grants."""
