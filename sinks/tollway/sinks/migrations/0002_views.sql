-- Views for people. Every one reads FINAL, so a replayed row never counts twice. What is absent
-- (no model, no customer, ...) is the empty text and a row of its own: nothing is left out.

CREATE OR REPLACE VIEW spend_daily AS
SELECT
    workspace,
    toDate(minute) AS day,
    agent,
    provider,
    model,
    connection,
    sum(spend.cost) AS cost,
    sum(spend.events) AS events,
    sum(spend.calls) AS calls,
    sum(spend.input_tokens) AS input_tokens,
    sum(spend.output_tokens) AS output_tokens,
    sum(spend.cache_read_tokens) AS cache_read_tokens,
    sum(spend.cache_write_tokens) AS cache_write_tokens,
    sum(spend.unpriced_events) AS unpriced_events
FROM spend FINAL
GROUP BY workspace, day, agent, provider, model, connection;

CREATE OR REPLACE VIEW chargeback AS
SELECT
    workspace,
    toStartOfMonth(toDate(time)) AS month,
    customer,
    connection,
    agent,
    sum(charges.cost) AS cost,
    countIf(kind IN ('llm', 'tool')) AS calls,
    sum(charges.input_tokens) AS input_tokens,
    sum(charges.output_tokens) AS output_tokens,
    -- A later price is an adjustment of its own beside the event that had none.
    toInt64(countIf(kind != 'adjustment' AND price_state IN ('unpriced', 'conservative')))
        - toInt64(countIf(kind = 'adjustment')) AS unpriced_events
FROM charges FINAL
GROUP BY workspace, month, customer, connection, agent;

-- Each finding with what it cost: the event that made it, its run so far, its run since.
CREATE OR REPLACE VIEW anomalies AS
SELECT
    f.time AS time,
    f.workspace AS workspace,
    f.agent AS agent,
    f.session AS session,
    f.step AS step,
    f.detector AS detector,
    f.level AS level,
    f.message AS message,
    f.event_id AS event_id,
    f.id AS id,
    sumIf(c.cost, c.id = f.event_id) AS event_cost,
    sumIf(c.cost, c.time <= f.time) AS run_cost_until,
    sumIf(c.cost, c.time > f.time) AS run_cost_after
FROM (SELECT * FROM findings FINAL) AS f
LEFT JOIN
(
    SELECT workspace, agent, session, id, time, cost
    FROM charges FINAL
    WHERE (workspace, agent, session) IN (SELECT workspace, agent, session FROM findings)
) AS c
ON f.workspace = c.workspace AND f.agent = c.agent AND f.session = c.session
GROUP BY
    f.time, f.workspace, f.agent, f.session, f.step, f.detector, f.level, f.message, f.event_id,
    f.id;

-- Σ charges against Σ spend, by workspace and hour of booking: the difference is 0 where the
-- books balance. A sink that is behind shows as a difference until it has caught up.
CREATE OR REPLACE VIEW audit_hours AS
SELECT
    workspace,
    hour,
    sum(charged) AS charges,
    sum(spent) AS spend,
    sum(charged) - sum(spent) AS difference
FROM
(
    SELECT
        workspace,
        toStartOfHour(time) AS hour,
        sum(cost) AS charged,
        toDecimal128(0, 12) AS spent
    FROM charges FINAL
    GROUP BY workspace, hour
    UNION ALL
    SELECT
        workspace,
        toStartOfHour(minute) AS hour,
        toDecimal128(0, 12) AS charged,
        sum(cost) AS spent
    FROM spend FINAL
    GROUP BY workspace, hour
)
GROUP BY workspace, hour;

-- The budgets in force as their commands say, and since when each has its present shape.
CREATE OR REPLACE VIEW budgets_in_force AS
SELECT
    workspace,
    budget_id,
    history[-1].3 AS shape,
    shape.1 AS dimensions,
    shape.3 AS window,
    history[arrayLastIndex(change -> change.3 != shape, history) + 1].2 AS since
FROM
(
    SELECT
        workspace,
        if(
            type = 'budget.set',
            JSONExtractString(document, 'budget', 'id'),
            JSONExtractString(document, 'budget_id')
        ) AS budget_id,
        arraySort(
            groupArray(
                (
                    offset,
                    time,
                    (
                        arraySort(JSONExtractKeys(document, 'budget', 'match')),
                        toString(mapSort(JSONExtract(document, 'budget', 'match', 'Map(String, String)'))),
                        multiIf(
                            type = 'budget.delete', '',
                            JSONHas(document, 'budget', 'window'), JSONExtractString(document, 'budget', 'window'),
                            'day'
                        ),
                        if(
                            JSONHas(document, 'budget', 'zone'),
                            JSONExtractString(document, 'budget', 'zone'),
                            'UTC'
                        )
                    )
                )
            )
        ) AS history
    FROM commands FINAL
    WHERE type IN ('budget.set', 'budget.delete')
    GROUP BY workspace, budget_id
)
WHERE window != '';

-- Σ charges against each account of a budget in force, by calendar window, run or total. Left out
-- is what no account claims to know: rolling windows, which keep no past; windows that ended before
-- the budget had its present shape; runs that began before it, unless a back-fill of runs covers
-- them; and runs with children, whose spend counts to the parent by a lineage that charges do not
-- hold.
CREATE OR REPLACE VIEW audit_accounts AS
WITH
    audited AS
    (
        SELECT
            a.workspace AS workspace,
            a.budget_id AS budget_id,
            a.subject_text AS subject,
            a.window AS window,
            a.window_start AS window_start,
            a.window_end AS window_end,
            a.spent AS spent,
            b.since AS since,
            b.dimensions AS dimensions,
            arrayMap(name -> a.subject[name], b.dimensions) AS names
        FROM (SELECT * FROM accounts FINAL WHERE NOT startsWith(window, 'rolling:')) AS a
        INNER JOIN budgets_in_force AS b ON a.workspace = b.workspace AND a.budget_id = b.budget_id
        WHERE a.window = b.window
            AND arraySort(mapKeys(a.subject)) = b.dimensions
            AND (a.window_end IS NULL OR a.window_end > b.since)
            AND (a.workspace, a.subject['session']) NOT IN
            (
                SELECT workspace, parent_session FROM charges WHERE parent_session != ''
            )
    ),
    -- Zones differ from UTC by whole quarters of an hour, so quarters add up to any window.
    charged AS
    (
        SELECT
            c.workspace AS workspace,
            d.dimensions AS dimensions,
            arrayMap(
                name -> multiIf(
                    name = 'agent', c.agent,
                    name = 'session', c.session,
                    name = 'connection', c.connection,
                    name = 'user', c.user,
                    name = 'customer', c.customer,
                    name = 'provider', c.provider,
                    name = 'model', c.model,
                    c.tool
                ),
                d.dimensions
            ) AS names,
            toStartOfFifteenMinutes(c.time) AS quarter,
            sum(c.cost) AS cost
        FROM (SELECT * FROM charges FINAL) AS c
        INNER JOIN (SELECT DISTINCT workspace, dimensions FROM budgets_in_force) AS d
            ON c.workspace = d.workspace
        GROUP BY workspace, dimensions, names, quarter
    )
SELECT
    a.workspace AS workspace,
    a.budget_id AS budget_id,
    a.subject AS subject,
    a.window AS window,
    a.window_start AS window_start,
    a.window_end AS window_end,
    a.since AS since,
    a.spent AS accounts,
    sumIf(
        c.cost,
        (a.window_start IS NULL OR c.quarter >= a.window_start)
        AND (a.window_end IS NULL OR c.quarter < a.window_end)
    ) AS charges,
    charges - accounts AS difference
FROM audited AS a
LEFT JOIN charged AS c
    ON a.workspace = c.workspace AND a.dimensions = c.dimensions AND a.names = c.names
GROUP BY
    a.workspace, a.budget_id, a.dimensions, a.subject, a.window, a.window_start, a.window_end,
    a.since, a.spent
HAVING NOT has(a.dimensions, 'session')
    OR (hasAll(['agent', 'session'], a.dimensions) AND a.window IN ('run', 'total'))
    OR countIf(c.workspace != '' AND c.quarter < a.since) = 0;
