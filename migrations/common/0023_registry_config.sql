-- What is configured for the registry's contexts and subjects: compatibility, alias, metadata, mode.
--
-- One row for a subject, one with subject '' for a context as a whole, and one for all contexts
-- together under the context '__GLOBAL' (no tenant id looks like that). NULL is "not set here": the
-- value of the context counts, then the global one, then the registry's default. A row that sets
-- nothing any more is deleted by whoever cleared its last value, in the same transaction.

CREATE TABLE control.registry_settings (
    context            text COLLATE "C" NOT NULL CHECK (octet_length(context) <= 255),
    subject            text COLLATE "C" NOT NULL CHECK (octet_length(subject) <= 255), -- '': the context
    configured         boolean NOT NULL DEFAULT false, -- a configuration was put, be it an empty one
    compatibility      text CHECK (compatibility IN ('NONE', 'BACKWARD', 'BACKWARD_TRANSITIVE',
                                   'FORWARD', 'FORWARD_TRANSITIVE', 'FULL', 'FULL_TRANSITIVE')),
    normalize          boolean,
    alias              text CHECK (octet_length(alias) <= 511),
    compatibility_group text CHECK (octet_length(compatibility_group) <= 255),
    default_metadata   text CHECK (octet_length(default_metadata) <= 65536),
    override_metadata  text CHECK (octet_length(override_metadata) <= 65536),
    mode               text CHECK (mode IN ('READWRITE', 'READONLY', 'READONLY_OVERRIDE', 'IMPORT')),
    changed_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (context, subject),
    CHECK (configured OR (compatibility IS NULL AND normalize IS NULL AND alias IS NULL
           AND compatibility_group IS NULL AND default_metadata IS NULL AND override_metadata IS NULL))
);

GRANT SELECT, INSERT, UPDATE, DELETE ON control.registry_settings TO tidegate_registry;

-- The name behind an alias, in the same context; without one the name itself. An alias leads one step, never on.
-- In plpgsql, which keeps its plan: it is asked with every subject.
CREATE OR REPLACE FUNCTION control.real_subject(in_context text, in_subject text) RETURNS text
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN coalesce((SELECT s.alias FROM control.registry_settings s
                     WHERE s.context = in_context AND s.subject = in_subject), in_subject);
END
$$;

-- What is set for a subject goes with its last live version, whoever deletes that.
CREATE FUNCTION control.forget_settings() RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM control.registry_settings s
        WHERE s.context = OLD.context AND s.subject = OLD.subject
          AND NOT EXISTS (SELECT FROM control.subject_versions v
                          WHERE v.context = OLD.context AND v.subject = OLD.subject AND NOT v.deleted);
    RETURN NULL;
END
$$;
CREATE TRIGGER forget_settings AFTER UPDATE OF deleted OR DELETE ON control.subject_versions
    FOR EACH ROW EXECUTE FUNCTION control.forget_settings();

-- Makes room for an import into a subject, a context ('') or all of them ('__GLOBAL', ''): false where live versions
-- are, else what was deleted is gone for good. All or nothing: a version that others refer to is a foreign key
-- violation with the sentence for the client.
CREATE FUNCTION control.clear_for_import(in_context text, in_subject text) RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    one     record;
    deleted record;
BEGIN
    IF EXISTS (SELECT FROM control.subject_versions v
               WHERE (in_context = '__GLOBAL' OR v.context = in_context)
                 AND (in_subject = '' OR v.subject = in_subject) AND NOT v.deleted) THEN
        RETURN false;
    END IF;
    FOR one IN SELECT DISTINCT v.context, v.subject FROM control.subject_versions v
               WHERE (in_context = '__GLOBAL' OR v.context = in_context)
                 AND (in_subject = '' OR v.subject = in_subject) ORDER BY 1, 2 LOOP
        SELECT * INTO deleted FROM control.delete_versions(one.context, one.subject, NULL, true);
        IF deleted.outcome <> 'done' THEN
            RAISE foreign_key_violation USING MESSAGE = format(
                'One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=%s,version=%s}.',
                one.subject, deleted.versions[1]);
        END IF;
    END LOOP;
    RETURN true;
END
$$;
