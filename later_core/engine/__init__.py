"""What time asks: the loops that start, end and watch over instances."""
