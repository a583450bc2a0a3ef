"""Who may: from what a call carries to a principal, and from a method to the permission it needs."""
