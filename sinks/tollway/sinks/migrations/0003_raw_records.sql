-- Raw records of commands, control and ledger, kept only for a broker that keeps nothing itself.
-- Of compacted topics the newest of a key (`position` is -1); of commands each (`position` is the
-- offset). `version` orders the lives of the log before its offsets.

CREATE TABLE IF NOT EXISTS raw_records
(
    topic LowCardinality(String),
    partition Int32,
    position Int64,
    key String,
    value Nullable(String),
    -- A tombstone of a compacted topic: FINAL leaves the key out.
    deleted UInt8,
    timestamp_ms Int64,
    offset Int64,
    -- (life of the log << 64) + offset.
    version UInt128,
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY (topic, partition, position, key);
