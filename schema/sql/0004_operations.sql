-- Jobs as the log tells them.  These tables are a projection: the recorder
-- writes them from records that arrive in any order, so none of them refers to
-- another by a foreign key, and a row only ever moves to a higher rank.
--
-- An attempt may be read before the request that it serves.  Its job's row then
-- stands without what only the request says (endpoint IS NULL); readers do not
-- show it until the request, or a result, has filled it in.

CREATE TABLE operations.job (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,                -- version 7: sorts by time of acceptance
    state text NOT NULL CHECK (state IN ('accepted', 'queued', 'running',
        'retrying', 'succeeded', 'failed', 'cancelled', 'expired')),
    state_rank smallint NOT NULL,    -- job/state.h; 9 = final
    key_id uuid,
    endpoint text,
    model text,
    priority smallint,
    metadata jsonb,
    request_id text,
    retry_of uuid,
    created_at timestamptz,
    deadline_at timestamptz,
    started_at timestamptz,
    ended_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    provider text,
    provider_model text,
    answer_status integer,
    error_code text,
    error text,
    input_tokens bigint,
    output_tokens bigint,
    cached_tokens bigint,
    reasoning_tokens bigint,
    PRIMARY KEY (organization_id, id),
    CHECK (endpoint IS NULL OR (key_id IS NOT NULL AND model IS NOT NULL
        AND priority IS NOT NULL AND created_at IS NOT NULL
        AND deadline_at IS NOT NULL))
) WITH (fillfactor = 45);            -- under load most rows grow once, a page of them
                                      -- in one transaction: in place only with room
                                      -- for all of the page's new versions

-- One row per call to a provider, made before the call was sent.
CREATE TABLE operations.attempt (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    job_id uuid NOT NULL,
    attempt integer NOT NULL,
    state text NOT NULL CHECK (state IN ('started', 'failed', 'succeeded',
        'cancelled')),
    state_rank smallint NOT NULL,    -- started 1, all others 9
    instance text,
    boot_id uuid,
    provider text,
    provider_model text,
    started_at timestamptz,
    ended_at timestamptz,
    http_status integer,
    error_code text,
    error text,
    input_tokens bigint,
    output_tokens bigint,
    cached_tokens bigint,
    reasoning_tokens bigint,
    PRIMARY KEY (organization_id, job_id, id)   -- and so by job
) WITH (fillfactor = 50);

-- The answer, byte for byte; at most one per job, the first final one.
CREATE TABLE operations.result (
    organization_id uuid NOT NULL,
    job_id uuid NOT NULL,
    answer_status integer NOT NULL,
    body bytea NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, job_id)
);
-- Answers are stored as they came; what compresses was compressed by Kafka.
-- A usual one, of 2 KB and some, stays in its row: the default target would
-- move it to a second table with an index of its own.
ALTER TABLE operations.result ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE operations.result SET (toast_tuple_target = 8160);

-- Rows are found by organization and id; what else a list asks for is checked
-- on the few that it walks.  So nobody needs to know how the other columns are
-- spread, and finding that out, each minute under load, cost as much as the
-- vacuum.
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN SELECT a.attrelid::regclass AS t, a.attname AS name
            FROM pg_attribute a
            WHERE a.attrelid IN ('operations.job'::regclass,
                'operations.attempt'::regclass, 'operations.result'::regclass)
            AND a.attnum > 0 LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s',
            c.t, c.name, CASE WHEN c.name IN ('organization_id', 'id', 'job_id')
                THEN 10 ELSE 0 END);
    END LOOP;
END
$$;

-- Idempotency keys of the last day, for when Redis cannot say.
CREATE TABLE operations.idempotency (
    organization_id uuid NOT NULL,
    key_hash bytea NOT NULL,         -- of method, route and key
    body_hash bytea NOT NULL,
    job_id uuid NOT NULL,
    accepted boolean NOT NULL DEFAULT false,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, key_hash)
);
CREATE INDEX idempotency_expiry ON operations.idempotency (expires_at);

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['job', 'attempt', 'result', 'idempotency'] LOOP
        EXECUTE format('ALTER TABLE operations.%I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE operations.%I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON operations.%I TO synq_app '
            'USING (organization_id = (SELECT platform.organization_id())) '
            'WITH CHECK (organization_id = (SELECT platform.organization_id()))', t);
        EXECUTE format('CREATE POLICY recording ON operations.%I '
            'TO synq_recorder USING (true) WITH CHECK (true)', t);
        EXECUTE format('CREATE POLICY administration ON operations.%I '
            'FOR SELECT TO synq_admin USING (true)', t);
        EXECUTE format('GRANT SELECT ON operations.%I TO synq_app, synq_admin', t);
    END LOOP;
END
$$;

GRANT SELECT, INSERT, UPDATE ON operations.job, operations.attempt
    TO synq_recorder;
GRANT SELECT, INSERT ON operations.result TO synq_recorder;
GRANT INSERT, UPDATE, DELETE ON operations.idempotency TO synq_app;
GRANT SELECT, DELETE ON operations.idempotency TO synq_recorder;
