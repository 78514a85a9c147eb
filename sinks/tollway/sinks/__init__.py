"""The sinks: what stands in the topics, as rows in ClickHouse, each once and none lost."""
