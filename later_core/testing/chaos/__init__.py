"""Chaos on the real thing: servers and a replica set as processes, faults, and an account of all of it.

``python -m later_core.testing.chaos`` runs it; ``run.py`` is the place to begin reading.
"""
