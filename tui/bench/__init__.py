"""The parts of the bench screen: what can be chosen, what a run says of itself while it trains."""
