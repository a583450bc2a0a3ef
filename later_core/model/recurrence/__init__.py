"""When a schedule fires: rules as values, and the instants that they name."""
