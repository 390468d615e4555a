"""Challenges: tokens, the responses of callers, attempts and lockouts."""
