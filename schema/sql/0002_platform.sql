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

-- A model as clients name it, at one provider, under that provider's name.
CREATE TABLE platform.model (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 256),
    provider_id uuid NOT NULL REFERENCES platform.provider (id),
    upstream_name text NOT NULL CHECK (length(upstream_name) BETWEEN 1 AND 256),
    enabled boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (name, provider_id)
);

-- Where a projection of the log stands.  It moves in the same transaction as
-- what it wrote, and only from where it was (WHERE next = $expected).
-- as_of: everything of the partition older than this is in the tables.
CREATE TABLE platform.consumer_offset (
    consumer text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next bigint NOT NULL,
    as_of timestamptz NOT NULL,
    PRIMARY KEY (consumer, topic, partition)
) WITH (fillfactor = 50);

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
