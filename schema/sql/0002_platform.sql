-- What belongs to the installation and to no tenant.

-- Facts fixed at first start, such as kafka.partitions.
CREATE TABLE platform.setting (
    name text PRIMARY KEY,
    value text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- A place that runs models.  sealed_key is the credential, sealed with the
-- installation's key (crypto/seal.h), bound to "provider:<id>".
CREATE TABLE platform.provider (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE
        CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    dialect text NOT NULL CHECK (dialect IN ('openai')),
    base_url text NOT NULL CHECK (length(base_url) <= 2048),
    sealed_key text,
    enabled boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- A model as clients name it, at one provider, under that provider's name.  A
-- name travels in messages, which take 512 bytes of it (proto/field.h).
CREATE TABLE platform.model (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 256
        AND octet_length(name) <= 512),
    provider_id uuid NOT NULL REFERENCES platform.provider (id),
    upstream_name text NOT NULL CHECK (length(upstream_name) BETWEEN 1 AND 256
        AND octet_length(upstream_name) <= 512),
    enabled boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (name, provider_id)
);

-- Where a projection of the log stands.  It moves in the same transaction as
-- what it wrote, and only from where it was (WHERE next = $expected).
-- as_of: everything of the partition older than this is in the tables.  It may go
-- back: kept at its highest, one look at a wrong clock would stay for ever.
CREATE TABLE platform.consumer_offset (
    consumer text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next bigint NOT NULL,
    as_of timestamptz NOT NULL,
    PRIMARY KEY (consumer, topic, partition)
) WITH (fillfactor = 50);

-- Move ${of_consumer} on in all partitions or, raising SQ001, in none: another
-- member has moved one of them meanwhile.  As a function because the statements
-- of a transaction are sent together: nobody could look at a count in between.
-- expected -1 = there is no row yet; next may equal expected, as_of moves alone.
-- An as_of of 1970 = not known yet, by a member that has just got the partition:
-- what stands there stays true.  Any other is taken even if it is older: a clock
-- that was set back makes as_of say too little for as long as the step, while
-- the highest would say too much after a clock that was ahead.
CREATE FUNCTION platform.move_offsets(
        of_consumer text, of_topics text[], of_partitions integer[],
        expected bigint[], nexts bigint[], as_ofs timestamptz[])
    RETURNS void LANGUAGE plpgsql
    AS $$
DECLARE
    moved bigint;
    made bigint;
BEGIN
    UPDATE platform.consumer_offset o
       SET next = m.next,
           as_of = CASE WHEN m.as_of > to_timestamp(0) THEN m.as_of
                        ELSE o.as_of END
      FROM unnest(of_topics, of_partitions, expected, nexts, as_ofs)
               AS m (topic, partition, expected, next, as_of)
     WHERE o.consumer = of_consumer AND o.topic = m.topic
       AND o.partition = m.partition AND o.next = m.expected;
    GET DIAGNOSTICS moved = ROW_COUNT;
    INSERT INTO platform.consumer_offset (consumer, topic, partition, next, as_of)
        SELECT of_consumer, m.topic, m.partition, m.next, m.as_of
          FROM unnest(of_topics, of_partitions, expected, nexts, as_ofs)
                   AS m (topic, partition, expected, next, as_of)
         WHERE m.expected = -1
        ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS made = ROW_COUNT;
    IF moved + made <> cardinality(of_topics) THEN
        RAISE EXCEPTION 'another member has moved an offset of %', of_consumer
            USING ERRCODE = 'SQ001';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION platform.move_offsets(
    text, text[], integer[], bigint[], bigint[], timestamptz[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION platform.move_offsets(
    text, text[], integer[], bigint[], bigint[], timestamptz[]) TO synq_recorder;

-- Metadata was checked as JSON when it came in, but jsonb is narrower (\u0000,
-- lone surrogates, huge numbers): what it refuses is left out, because one such
-- job would stop the recording of all others.
CREATE FUNCTION platform.jsonb_or_null(input text) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
BEGIN
    RETURN input::jsonb;
EXCEPTION WHEN data_exception OR program_limit_exceeded
        OR statement_too_complex THEN
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION platform.jsonb_or_null(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION platform.jsonb_or_null(text) TO synq_recorder;

GRANT SELECT ON platform.schema_migration TO synq_admin;
GRANT SELECT ON platform.setting
    TO synq_app, synq_recorder, synq_dispatcher, synq_admin;
GRANT INSERT, UPDATE ON platform.setting TO synq_admin;
GRANT SELECT ON platform.provider TO synq_dispatcher;
GRANT SELECT, INSERT, UPDATE ON platform.provider TO synq_admin;
GRANT SELECT ON platform.model TO synq_app, synq_dispatcher;
-- synq-intake needs to know which models have a provider, never its key.
GRANT SELECT (id, name, dialect, enabled) ON platform.provider TO synq_app;
GRANT SELECT, INSERT, UPDATE ON platform.model TO synq_admin;
GRANT SELECT ON platform.consumer_offset TO synq_app, synq_admin;
GRANT SELECT, INSERT, UPDATE ON platform.consumer_offset TO synq_recorder;
