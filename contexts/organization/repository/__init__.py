"""Where employees and org charts are kept: the port, and its SQL and memory forms."""
