-- Organizations (the tenants) and their API keys.

CREATE TABLE identity.organization (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    isolation text NOT NULL DEFAULT 'shared'
        CHECK (isolation IN ('shared', 'dedicated')),
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    deleted_by uuid,
    deletion_id uuid
);
CREATE UNIQUE INDEX organization_name ON identity.organization (name)
    WHERE deleted_at IS NULL;

-- key_id is the public part of a key; hash is keyed BLAKE2b of its secret
-- (docs/adr/0004).  The secret itself is nowhere.
CREATE TABLE identity.api_key (
    organization_id uuid NOT NULL REFERENCES identity.organization (id),
    id uuid NOT NULL,
    key_id text NOT NULL UNIQUE CHECK (key_id ~ '^[0-9A-Za-z]{16}$'),
    hash bytea NOT NULL CHECK (length(hash) = 32),
    pepper_id integer NOT NULL,
    mode text NOT NULL CHECK (mode IN ('live', 'test')),
    name text NOT NULL DEFAULT '' CHECK (length(name) <= 128),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    deleted_at timestamptz,
    deleted_by uuid,
    deletion_id uuid,
    PRIMARY KEY (organization_id, id)
);

ALTER TABLE identity.organization ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity.organization FORCE ROW LEVEL SECURITY;
ALTER TABLE identity.api_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity.api_key FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON identity.organization TO synq_app
    USING (id = (SELECT platform.organization_id()))
    WITH CHECK (id = (SELECT platform.organization_id()));
CREATE POLICY tenant ON identity.api_key TO synq_app
    USING (organization_id = (SELECT platform.organization_id()))
    WITH CHECK (organization_id = (SELECT platform.organization_id()));
CREATE POLICY administration ON identity.organization TO synq_admin
    USING (true) WITH CHECK (true);
CREATE POLICY administration ON identity.api_key TO synq_admin
    USING (true) WITH CHECK (true);
CREATE POLICY lookup ON identity.organization FOR SELECT TO synq_lookup
    USING (true);
CREATE POLICY lookup ON identity.api_key FOR SELECT TO synq_lookup
    USING (true);

GRANT SELECT ON identity.organization, identity.api_key TO synq_app;
GRANT SELECT, INSERT, UPDATE ON identity.organization, identity.api_key
    TO synq_admin;
GRANT SELECT ON identity.organization, identity.api_key TO synq_lookup;

-- The one way to a key before its tenant is known: exactly one row by the
-- public part, nothing that could be listed.
CREATE FUNCTION identity.find_key(wanted text)
    RETURNS TABLE (
        organization_id uuid, id uuid, hash bytea, pepper_id integer,
        mode text, expires_at timestamptz, revoked boolean)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    AS $$
        SELECT k.organization_id, k.id, k.hash, k.pepper_id, k.mode,
               k.expires_at,
               k.revoked_at IS NOT NULL OR k.deleted_at IS NOT NULL
                   OR o.deleted_at IS NOT NULL
          FROM identity.api_key k
          JOIN identity.organization o ON o.id = k.organization_id
         WHERE k.key_id = wanted
    $$;
-- Changing an owner needs CREATE on the schema for the new one, for a moment.
GRANT CREATE ON SCHEMA identity TO synq_lookup;
ALTER FUNCTION identity.find_key(text) OWNER TO synq_lookup;
REVOKE CREATE ON SCHEMA identity FROM synq_lookup;
REVOKE ALL ON FUNCTION identity.find_key(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.find_key(text) TO synq_app;
