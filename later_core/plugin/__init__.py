"""Promises that plugin authors keep: Task and the hooks."""
