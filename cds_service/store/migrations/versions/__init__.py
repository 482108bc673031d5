"""One module per revision. A released revision is never changed; a new one follows it."""
