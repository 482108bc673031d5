"""What a record amounts to: steroid exposure, findings, weight loss, risk domains. Pure; limits come in as values."""
