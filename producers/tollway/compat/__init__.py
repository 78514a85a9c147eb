"""Other tools' names over Tollway: change the import line, and nothing else."""
