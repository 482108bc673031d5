"""A CDS Hooks service that reads a chart for muscle atrophy and weakness and returns cards."""

__version__ = "0.1.0"
