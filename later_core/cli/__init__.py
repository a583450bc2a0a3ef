"""The words people type: the `later` command."""
