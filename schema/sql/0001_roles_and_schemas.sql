-- The four schemas and who may do what in general.
--
-- synq_owner      owns everything, logs in for migrations only
-- synq_app        synq-intake: reads one tenant at a time, by row security
-- synq_recorder   writes what the log says, for every tenant
-- synq_dispatcher reads providers and models
-- synq_admin      the command line: organizations, keys, providers, models
-- synq_lookup     cannot log in; owns identity.find_key
--
-- The roles exist before this runs (synq migrate makes them).  None but
-- synq_owner owns a table, none bypasses row security.

CREATE SCHEMA IF NOT EXISTS platform;   -- synq migrate keeps its own table there
CREATE SCHEMA identity;
CREATE SCHEMA operations;
CREATE SCHEMA audit;

REVOKE ALL ON SCHEMA public FROM PUBLIC;

GRANT USAGE ON SCHEMA platform
    TO synq_app, synq_recorder, synq_dispatcher, synq_admin;
GRANT USAGE ON SCHEMA identity TO synq_app, synq_admin, synq_lookup;
GRANT USAGE ON SCHEMA operations TO synq_app, synq_recorder, synq_admin;

-- The tenant of this transaction; NULL when none is set, so that no policy
-- matches (an unset setting is '' after its first use, never an error).
CREATE FUNCTION platform.organization_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('synq.organization_id', true), '')::uuid $$;

REVOKE ALL ON FUNCTION platform.organization_id() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION platform.organization_id()
    TO synq_app, synq_recorder, synq_admin;
