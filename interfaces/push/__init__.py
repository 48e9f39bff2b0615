"""The push hub: published events to open browsers and programs, over server-sent events and WebSocket.

One hub per process, any number of processes. Each reads the fast path of every data service once, falls back to its
feed, and keeps the newest events in memory; a client that comes back names the last one it saw and gets the rest.
"""
