"""The HTTP API: spend, decisions, budgets and the audit, for people and programs."""
