"""The FastAGI adapter: decides Asterisk's outgoing calls by a Rightcall server.

A client of the API like any other, without rules and passwords.
"""
