"""``later doctor``: look at a deployment, and say what to mend."""
