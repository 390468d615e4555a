"""Wazo's REST API and bus."""
