"""One function per command and query, and the two transactions round an attempt."""
