"""One suite for each interface, run against each of its implementations."""
