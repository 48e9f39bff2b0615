"""What payroll does: one function per command and query."""
