"""Frameworks' callbacks that count in a session."""
