"""From fired rules to at most three cards: what is offered, how it is worded, what was answered before."""
