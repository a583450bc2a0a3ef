"""Programs that measure Later, and the bare pipes that it is compared with."""
