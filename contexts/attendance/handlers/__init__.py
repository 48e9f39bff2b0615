"""One function per command and query: load, one verb, save."""
