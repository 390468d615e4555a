"""Wazo's database."""
