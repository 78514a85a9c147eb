"""The commands of `tollway`, one module a concern; heavy imports happen inside each command."""
