"""The checks behind ``later_core.testing.contracts.PluginContract``, each file one side of a plugin."""
