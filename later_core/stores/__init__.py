"""Databases that keep the Store promise."""
