"""The service over HTTP: what is asked, by whom, and how each answer is given."""
