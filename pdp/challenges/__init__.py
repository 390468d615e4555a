"""Challenges: tokens, responses to them, attempts and lockouts."""
