"""Promises that the engine and the services need kept: Clock, Store, Tasks."""
