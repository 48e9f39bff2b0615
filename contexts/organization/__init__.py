"""Who is in the company, since when, as what and on which terms."""
