"""Checks of a deployment from a client's place: read-only, each fault with a remedy.

``checks`` lists the checks, ``run`` runs all, ``rightcall doctor`` prints.
"""
