-- The tables that the sinks write. Each row can arrive any number of times and in any order: the
-- engine keeps one a key, the newest by its version, and readers say FINAL.
-- Partitions are functions of the key, so a row and its replacement always meet in one partition.

CREATE TABLE IF NOT EXISTS charges
(
    workspace LowCardinality(String),
    time DateTime64(3, 'UTC'),
    day Date MATERIALIZED toDate(time),
    source LowCardinality(String),
    id String,
    agent LowCardinality(String),
    kind LowCardinality(String) DEFAULT 'llm',
    session String,
    parent_session String,
    step Nullable(UInt64),
    connection LowCardinality(String),
    user String,
    customer String,
    task String,
    tags Map(LowCardinality(String), String),
    provider LowCardinality(String),
    model LowCardinality(String),
    requested_model LowCardinality(String),
    service_tier LowCardinality(String),
    tool LowCardinality(String),
    tool_calls UInt64,
    input_tokens UInt64,
    output_tokens UInt64,
    cache_read_tokens UInt64,
    cache_write_tokens UInt64,
    cache_write_1h_tokens UInt64,
    reasoning_tokens UInt64,
    input_audio_tokens UInt64,
    output_audio_tokens UInt64,
    input_image_tokens UInt64,
    output_image_tokens UInt64,
    searches UInt64,
    seconds Float64,
    usage_missing Bool,
    status LowCardinality(String) DEFAULT 'ok',
    attempt UInt64,
    duration_ms Nullable(UInt64),
    success Nullable(Bool),
    cost Decimal(38, 12),
    price_state LowCardinality(String) DEFAULT 'priced',
    price_source LowCardinality(String),
    price_version LowCardinality(String),
    clamped Bool,
    late Bool,
    skewed Bool,
    event_time Nullable(DateTime64(3, 'UTC')),
    adjusts String,
    partition Int32,
    offset Int64,
    log_time DateTime64(3, 'UTC'),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3),
    INDEX by_id id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_session session TYPE bloom_filter(0.01) GRANULARITY 4,
    -- A field that is absent is its type's zero; without these, `{}` would be a charge of nobody.
    CONSTRAINT names_who_and_what CHECK workspace != '' AND agent != '' AND id != '',
    CONSTRAINT says_when CHECK time > toDateTime64(0, 3, 'UTC') AND log_time > toDateTime64(0, 3, 'UTC')
)
-- The same event twice is one key; the later in the log is kept.
ENGINE = ReplacingMergeTree(log_time)
PARTITION BY toYYYYMM(time)
ORDER BY (workspace, day, agent, time, source, id);

CREATE TABLE IF NOT EXISTS spend
(
    workspace LowCardinality(String),
    minute DateTime64(3, 'UTC'),
    opened_at_offset Int64,
    partition Int32,
    -- The generation in which the accumulator was opened: offsets begin anew with each.
    generation UInt32,
    agent LowCardinality(String),
    provider LowCardinality(String),
    model LowCardinality(String),
    connection LowCardinality(String),
    tool LowCardinality(String),
    user String,
    customer String,
    cost Decimal(38, 12),
    -- Signed: an accumulator opened by a correction can take back what another one holds.
    events Int64,
    calls Int64,
    input_tokens Int64,
    output_tokens Int64,
    cache_read_tokens Int64,
    cache_write_tokens Int64,
    unpriced_events Int64,
    -- (generation of the write << 48) + usage offset of the write + 1.
    version UInt64,
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3),
    CONSTRAINT names_who CHECK workspace != '' AND agent != '',
    CONSTRAINT says_when CHECK minute > toDateTime64(0, 3, 'UTC')
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(minute)
PRIMARY KEY (workspace, minute, agent)
ORDER BY
(
    workspace, minute, agent, provider, model, connection, tool, user, customer,
    generation, opened_at_offset
);

CREATE TABLE IF NOT EXISTS accounts
(
    workspace LowCardinality(String),
    budget_id String,
    subject Map(LowCardinality(String), String),
    -- The subject as one text, the same for equal subjects: `agent=bot&model=gpt-4o`, `*` for all.
    subject_text String,
    window LowCardinality(String),
    window_start Nullable(DateTime64(3, 'UTC')),
    window_end Nullable(DateTime64(3, 'UTC')),
    spent Decimal(38, 12),
    tokens Int64,
    calls Int64,
    fired_percent Array(UInt16),
    last_event_ms Int64,
    partition Int32,
    generation UInt32,
    version UInt64,
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3),
    CONSTRAINT names_whose CHECK workspace != '' AND budget_id != ''
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(ifNull(window_start, toDateTime64(0, 3, 'UTC')))
ORDER BY
(
    workspace, budget_id, subject_text, window, ifNull(window_start, toDateTime64(0, 3, 'UTC'))
);

-- One row a top-up or a draw-down of a prepaid workspace. Nothing writes it yet.
CREATE TABLE IF NOT EXISTS credits
(
    workspace LowCardinality(String),
    id String,
    time DateTime64(3, 'UTC'),
    amount Decimal(38, 12),
    balance Decimal(38, 12),
    actor String,
    reason String,
    partition Int32,
    generation UInt32,
    version UInt64,
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, id);

CREATE TABLE IF NOT EXISTS decisions
(
    id String,
    workspace LowCardinality(String),
    subject Map(LowCardinality(String), String),
    subject_text String,
    rule String,
    action LowCardinality(String),
    mode LowCardinality(String),
    on_stale LowCardinality(String),
    reason String,
    message String,
    -- What `spent` and `limit` count: usd, tokens or calls.
    unit LowCardinality(String),
    spent Nullable(Decimal(38, 12)),
    limit Nullable(Decimal(38, 12)),
    threshold_percent Nullable(UInt16),
    window LowCardinality(Nullable(String)),
    window_start Nullable(DateTime64(3, 'UTC')),
    fallback_model Nullable(String),
    expires_at Nullable(DateTime64(3, 'UTC')),
    cause_partition Int32,
    cause_offset Int64,
    cause_event_id String,
    generation UInt32,
    usage_offset Int64,
    commands_offset Int64,
    -- (generation, usage offset, commands offset) as one number, in the same order.
    version UInt128,
    issued_at DateTime64(3, 'UTC'),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, id);

CREATE TABLE IF NOT EXISTS findings
(
    id String,
    detector LowCardinality(String),
    level LowCardinality(String),
    workspace LowCardinality(String),
    agent LowCardinality(String),
    session String,
    step Nullable(UInt64),
    event_id String,
    message String,
    evidence Map(LowCardinality(String), String),
    time DateTime64(3, 'UTC'),
    cause_partition Int32,
    cause_offset Int64,
    cause_event_id String,
    generation UInt32,
    usage_offset Int64,
    commands_offset Int64,
    version UInt128,
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, id);

CREATE TABLE IF NOT EXISTS commands
(
    id String,
    workspace LowCardinality(String),
    type LowCardinality(String),
    actor String,
    reason String,
    time DateTime64(3, 'UTC'),
    -- The record as it stands in the log: JSON.
    document String,
    partition Int32,
    offset Int64,
    log_time DateTime64(3, 'UTC'),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
-- A command sent again is the same row; another command under a used id is a row of its own.
ENGINE = ReplacingMergeTree(log_time)
ORDER BY (workspace, time, id, cityHash64(document));

CREATE TABLE IF NOT EXISTS deadletters
(
    reason LowCardinality(String),
    detail String,
    topic LowCardinality(String),
    partition Int32,
    offset Int64,
    time DateTime64(3, 'UTC'),
    -- Base64, cut at 64 KiB, as in the record.
    key Nullable(String),
    value Nullable(String),
    size_bytes UInt64,
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
-- One record of charges can hold several refused lines, so the value belongs to the key.
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset, time, reason, cityHash64(ifNull(value, '')));
