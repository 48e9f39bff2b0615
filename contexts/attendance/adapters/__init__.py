"""Attendance on the wire."""
