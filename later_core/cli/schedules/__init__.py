"""``later schedules``: what people type about schedules."""
