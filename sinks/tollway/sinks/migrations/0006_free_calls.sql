-- A tool's price that is dated back charges calls that were free: adjustments, but not of events
-- without a price. An event that had none and was priced as a tool's call names a model.

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
        - toInt64(countIf(kind = 'adjustment' AND NOT (price_source = 'tool' AND model = '')))
        AS unpriced_events
FROM charges FINAL
GROUP BY workspace, month, customer, connection, agent;
