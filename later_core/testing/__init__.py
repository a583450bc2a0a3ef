"""The test kit that Later ships for its own tests and for plugin authors."""
