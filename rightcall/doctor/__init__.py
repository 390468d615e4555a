"""Looks at a deployment from where it is used, finds what is wrong, and says what to do. It changes nothing.

``checks`` has the list of what is looked at, ``run`` looks, ``rightcall doctor`` prints.
"""
