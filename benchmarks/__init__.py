"""Measures the service beside two floors, on the same server and machine, with charts that it makes itself."""
