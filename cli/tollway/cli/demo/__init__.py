"""Agents that behave like recorded ones, on a Tollway of their own."""
