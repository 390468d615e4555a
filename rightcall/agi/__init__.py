"""The FastAGI adapter: what Asterisk asks before it lets a call through, answered by a Rightcall server.

A client of the API like any other: it holds no rules and no passwords.
"""
