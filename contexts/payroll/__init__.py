"""Payroll: what people are paid, why, and that nobody is paid twice."""
