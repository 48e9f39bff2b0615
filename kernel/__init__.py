"""Pure words that every context shares with the same meaning (a closed list of modules)."""
