"""What this node holds in memory."""
