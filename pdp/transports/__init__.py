"""Transports, which serve the services on a socket."""
