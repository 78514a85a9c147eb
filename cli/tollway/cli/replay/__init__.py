"""Sends recorded usage events again, as if their runs had just ended."""
