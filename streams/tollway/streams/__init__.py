"""The worker: Faust gives it partitions, its ledgers turn usage into books and decisions."""
