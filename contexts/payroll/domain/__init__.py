"""The rules of payroll, without storage, clock or network."""
