"""The words of Later as values: what an instance is, not what is done with it."""
