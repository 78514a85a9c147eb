"""The rules: what an event costs, who pays, what looks wrong, and when to stop. Pure functions."""
