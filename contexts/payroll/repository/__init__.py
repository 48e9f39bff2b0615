"""How payroll is kept."""
