"""Definitions in the PostgreSQL database of a Wazo Platform, read without writing anything."""
