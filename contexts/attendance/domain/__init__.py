"""Timesheets and the time engine, pure: instants, plans and policies in, minutes out."""
