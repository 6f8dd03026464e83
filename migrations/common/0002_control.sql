-- Tenants, plans and API keys, and the one number that tells every service to look again.

-- The services' configuration watch polls this row: 300 ms is therefore the bound of a revocation. It
-- is a row and not a sequence because a sequence moves before the change it announces is visible.
CREATE TABLE control.config_version (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    version    bigint NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO control.config_version (version) VALUES (1);

CREATE FUNCTION control.bump_config_version() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE control.config_version SET version = version + 1, changed_at = clock_timestamp();
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION control.bump_config_version() FROM PUBLIC;

CREATE TABLE control.plans (
    name                text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    requests_per_second integer NOT NULL CHECK (requests_per_second > 0),
    burst               integer NOT NULL CHECK (burst > 0),
    active_series       integer NOT NULL DEFAULT 10000 CHECK (active_series > 0),
    retention_days      integer NOT NULL DEFAULT 400 CHECK (retention_days > 0),
    created_at          timestamptz NOT NULL DEFAULT now()
);
INSERT INTO control.plans (name, requests_per_second, burst) VALUES ('default', 1000, 2000);

CREATE TABLE control.tenants (
    id          text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name        text NOT NULL DEFAULT '' CHECK (octet_length(name) <= 256),
    plan        text COLLATE "C" NOT NULL DEFAULT 'default' REFERENCES control.plans (name),
    created_at  timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz
);

-- A key is tg_<id><secret><checksum>; only the id and the SHA-256 of the whole text are kept.
CREATE TABLE control.api_keys (
    id            text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[0-9A-Za-z]{12}$'),
    tenant_id     text COLLATE "C" NOT NULL REFERENCES control.tenants (id),
    secret_sha256 bytea NOT NULL CHECK (octet_length(secret_sha256) = 32),
    scopes        text[] NOT NULL
                  CHECK (cardinality(scopes) > 0
                         AND scopes <@ ARRAY['ingest', 'read', 'manage', 'registry', 'admin']),
    description   text NOT NULL DEFAULT '' CHECK (octet_length(description) <= 256),
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz,
    revoked_at    timestamptz
);
CREATE INDEX api_keys_tenant ON control.api_keys (tenant_id);

-- Which tenant an SQL login reads as (see api.tenant()).
CREATE TABLE control.sql_logins (
    login     text COLLATE "C" PRIMARY KEY,
    tenant_id text COLLATE "C" NOT NULL REFERENCES control.tenants (id)
);

CREATE TRIGGER bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON control.plans
    FOR EACH STATEMENT EXECUTE FUNCTION control.bump_config_version();
CREATE TRIGGER bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON control.tenants
    FOR EACH STATEMENT EXECUTE FUNCTION control.bump_config_version();
CREATE TRIGGER bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON control.api_keys
    FOR EACH STATEMENT EXECUTE FUNCTION control.bump_config_version();

GRANT SELECT ON control.config_version TO tidegate_worker, tidegate_gateway, tidegate_registry;
GRANT SELECT ON control.tenants, control.plans TO tidegate_worker, tidegate_gateway;
GRANT SELECT ON control.api_keys TO tidegate_gateway;
