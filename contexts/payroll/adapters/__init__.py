"""How payroll meets the wire and the processor."""
