-- What a completed task costs. A run is a session of an agent; how it ended is its charge of kind
-- `outcome`. Runs that failed, or of which nobody knows, are paid for by those that completed.

CREATE OR REPLACE VIEW completed_tasks AS
SELECT
    workspace,
    day,
    agent,
    task,
    sum(run_cost) AS cost,
    count() AS runs,
    sum(run_completed) AS completed,
    sum(run_failed) AS failed,
    -- NULL where none was completed.
    sum(run_cost) / nullIf(toInt64(sum(run_completed)), 0) AS cost_per_completed
FROM
(
    SELECT
        workspace,
        agent,
        session,
        -- Of the charge that names it: a run is of one task.
        max(charges.task) AS task,
        toDate(min(time)) AS day,
        sum(charges.cost) AS run_cost,
        max(kind = 'outcome' AND success) AS run_completed,
        max(kind = 'outcome' AND NOT success) AS run_failed
    FROM charges FINAL
    WHERE session != ''
    GROUP BY workspace, agent, session
)
GROUP BY workspace, day, agent, task;
