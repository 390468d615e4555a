"""Composition of the programs, without a command line: servers, loader, logs, tracing, stopping."""
