"""Brokers that we start ourselves, and the topics on any broker."""
