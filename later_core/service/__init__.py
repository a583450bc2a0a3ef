"""What people ask: create, read, abort, watch."""
