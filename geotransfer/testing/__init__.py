"""The simulated world with known truth, shipped to users."""
