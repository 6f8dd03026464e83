-- The schema registry. A context is a tenant's id; '' is the default context, which everybody sees.
--
-- Registration is race-free by constraints alone: the loser of a race meets a unique violation (or
-- DO NOTHING) and reads what the winner wrote.

CREATE SEQUENCE control.schema_ids AS integer;

CREATE TABLE control.schemas (
    id          integer PRIMARY KEY DEFAULT nextval('control.schema_ids'),
    context     text COLLATE "C" NOT NULL CHECK (octet_length(context) <= 255),
    schema_type text NOT NULL DEFAULT 'AVRO' CHECK (schema_type = 'AVRO'),
    schema      text NOT NULL, -- byte for byte as it was registered
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32), -- SHA-256 of what the registry calls the same schema
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (context, fingerprint), -- one id per context and schema
    UNIQUE (context, id)
);
ALTER SEQUENCE control.schema_ids OWNED BY control.schemas.id;

CREATE TABLE control.subject_versions (
    context    text COLLATE "C" NOT NULL,
    subject    text COLLATE "C" NOT NULL CHECK (octet_length(subject) BETWEEN 1 AND 255),
    version    integer NOT NULL CHECK (version > 0),
    schema_id  integer NOT NULL,
    deleted    boolean NOT NULL DEFAULT false, -- soft; versions are never used again
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (context, subject, version),
    FOREIGN KEY (context, schema_id) REFERENCES control.schemas (context, id)
);
CREATE UNIQUE INDEX subject_versions_schema ON control.subject_versions (context, subject, schema_id)
    WHERE NOT deleted;
CREATE INDEX subject_versions_by_id ON control.subject_versions (context, schema_id);

CREATE TRIGGER bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON control.subject_versions
    FOR EACH STATEMENT EXECUTE FUNCTION control.bump_config_version();

GRANT SELECT, INSERT ON control.schemas TO tidegate_registry;
GRANT SELECT, INSERT, UPDATE ON control.subject_versions TO tidegate_registry;
GRANT USAGE ON SEQUENCE control.schema_ids TO tidegate_registry;
