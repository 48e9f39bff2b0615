"""Alembic's entry: one runner for every context, on the connection that chassis.migrations hands over."""

from alembic import context

from chassis.migrations import run_environment

run_environment(context)
