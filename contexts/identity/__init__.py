"""Who may come in to a tenant, as whom, and what they were granted."""
