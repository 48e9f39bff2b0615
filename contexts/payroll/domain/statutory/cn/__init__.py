"""The statutory pack of China."""
