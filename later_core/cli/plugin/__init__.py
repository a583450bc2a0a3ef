"""``later plugin``: a plugin of one's own."""
