"""The bounded contexts: one data service each, with one aggregate root and one database."""
