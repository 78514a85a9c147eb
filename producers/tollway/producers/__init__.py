"""The producer SDK behind `tollway.meter`: records what an agent spends, guards what it may."""
