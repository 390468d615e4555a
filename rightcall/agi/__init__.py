"""The FastAGI adapter: decides Asterisk's calls by a Rightcall server, before they go out.

A client of the API like any other, without rules and passwords.
"""
