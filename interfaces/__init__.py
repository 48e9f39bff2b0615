"""How people and machines reach Muster: the command line, later the gateway, push and the console."""
