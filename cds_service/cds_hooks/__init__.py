"""The CDS Hooks protocol: what is asked, answered and reported back, in the specification's own names."""
