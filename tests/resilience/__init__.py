"""Proofs that nothing is lost, doubled or charged wrongly, with the bot killed wherever it stands."""
