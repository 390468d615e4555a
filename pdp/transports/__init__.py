"""Transports: what serves the services on a socket."""
