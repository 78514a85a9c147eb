"""Every record that crosses a process, and the topics and tables that carry them."""
