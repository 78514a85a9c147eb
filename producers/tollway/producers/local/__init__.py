"""Sessions: what one run spends, priced and judged in the agent's own process."""
