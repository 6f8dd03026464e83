-- The schema registry, complete: the text that clients see beside the one registered, references, permanent
-- deletion, imported ids, and version numbers that are never used twice.
--
-- What changes state does so in one function, which locks the subject's row first: registrations and deletions
-- of one subject stand in line, whichever process asks. Reading needs no lock.

ALTER TABLE control.schemas
    ADD COLUMN printed  text, -- as clients see it; null: registered before this migration, filled in at the registry's next start
    ADD COLUMN guid     uuid, -- the same for the same schema in every context
    ADD COLUMN metadata text; -- JSON with sorted names; null: none
CREATE INDEX schemas_guid ON control.schemas (guid);
CREATE INDEX schemas_unprinted ON control.schemas (id) WHERE printed IS NULL;

CREATE TABLE control.subjects (
    context      text COLLATE "C" NOT NULL,
    subject      text COLLATE "C" NOT NULL,
    last_version integer NOT NULL, -- the highest ever given away
    PRIMARY KEY (context, subject)
);
INSERT INTO control.subjects (context, subject, last_version)
    SELECT context, subject, max(version) FROM control.subject_versions GROUP BY context, subject;

-- A reference names a subject's version and stands for the schema that it is. The key makes it impossible to
-- remove that version.
CREATE TABLE control.schema_references (
    schema_id  integer NOT NULL REFERENCES control.schemas (id) ON DELETE CASCADE,
    position   integer NOT NULL CHECK (position >= 0),
    name       text COLLATE "C" NOT NULL CHECK (octet_length(name) <= 1024),
    subject    text COLLATE "C" NOT NULL, -- as it was given, maybe with a context
    to_context text COLLATE "C" NOT NULL,
    to_subject text COLLATE "C" NOT NULL,
    version    integer NOT NULL,
    to_id      integer NOT NULL REFERENCES control.schemas (id),
    PRIMARY KEY (schema_id, position),
    FOREIGN KEY (to_context, to_subject, version) REFERENCES control.subject_versions (context, subject, version)
);
CREATE INDEX schema_references_to ON control.schema_references (to_context, to_subject, version);
CREATE INDEX schema_references_to_id ON control.schema_references (to_id);

-- Counts permanent deletions: what a process keeps of schemas is good as long as this number stands.
CREATE TABLE control.registry_state (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    deletions bigint NOT NULL
);
INSERT INTO control.registry_state (deletions) VALUES (0);

-- The name behind an alias (which configuration gives); without one the name itself.
CREATE FUNCTION control.real_subject(in_context text, in_subject text) RETURNS text
    LANGUAGE sql STABLE
AS $$ SELECT in_subject $$;

-- Every schema that these need to be read, themselves included: what is referenced comes before what refers to it.
CREATE FUNCTION control.schema_closure(in_ids integer[])
    RETURNS TABLE (id integer, depth integer)
    LANGUAGE sql STABLE
AS $$
    WITH RECURSIVE needed (id, depth) AS (
        SELECT DISTINCT i, 0 FROM unnest(in_ids) AS i
        UNION
        SELECT r.to_id, n.depth + 1 FROM needed n JOIN control.schema_references r ON r.schema_id = n.id
        WHERE n.depth < 64
    )
    SELECT needed.id, max(needed.depth) FROM needed GROUP BY needed.id ORDER BY 2 DESC, 1
$$;

-- One registration. `in_references` is [{"name", "subject", "context", "to", "version", "id"}], resolved;
-- `in_newest` the newest live version that the schema was checked against (null: not checked); `in_id` and
-- `in_version` are those of an import.
--
-- Outcomes: new; existing; changed (the subject or a reference is no longer what was looked at: look again);
-- reserved (a subject of the default context); full; id_taken; version_taken; used_up (the version numbers). A unique or foreign key violation
-- means that another registration or deletion was faster: ask again.
CREATE FUNCTION control.register_schema(
    in_context text, in_subject text, in_identity bytea, in_guid uuid, in_schema text, in_printed text,
    in_metadata text, in_references jsonb, in_newest integer, in_id integer, in_version integer,
    in_max_schemas bigint, OUT outcome text, OUT id integer, OUT version integer)
    LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    last   integer;
    newest integer;
    had    integer;
BEGIN
    IF in_context <> '' AND EXISTS (SELECT FROM control.subject_versions v
                                    WHERE v.context = '' AND v.subject = in_subject AND NOT v.deleted) THEN
        outcome := 'reserved';
        RETURN;
    END IF;
    SELECT s.id INTO register_schema.id FROM control.schemas s
        WHERE s.context = in_context AND s.fingerprint = in_identity;
    IF NOT FOUND AND in_max_schemas <= (SELECT count(*) FROM (SELECT FROM control.schemas s
                                        WHERE s.context = in_context LIMIT in_max_schemas) AS had) THEN
        outcome := 'full';
        RETURN;
    END IF;
    IF register_schema.id <> in_id OR register_schema.id IS NULL
       AND EXISTS (SELECT FROM control.schemas s WHERE s.id = in_id) THEN
        register_schema.id := NULL;
        outcome := 'id_taken';
        RETURN;
    END IF;
    INSERT INTO control.subjects AS s (context, subject, last_version) VALUES (in_context, in_subject, 0)
        ON CONFLICT DO NOTHING;
    SELECT s.last_version INTO last FROM control.subjects s
        WHERE s.context = in_context AND s.subject = in_subject FOR UPDATE;

    SELECT s.id, v.version INTO register_schema.id, register_schema.version
        FROM control.schemas s JOIN control.subject_versions v ON v.context = s.context AND v.schema_id = s.id
        WHERE s.context = in_context AND s.fingerprint = in_identity AND v.subject = in_subject
          AND NOT v.deleted AND (in_id IS NULL OR s.id = in_id)
        ORDER BY v.version DESC LIMIT 1;
    IF FOUND THEN
        outcome := 'existing';
        RETURN;
    END IF;

    SELECT coalesce(max(v.version), 0) INTO newest FROM control.subject_versions v
        WHERE v.context = in_context AND v.subject = in_subject AND NOT v.deleted;
    outcome := 'changed';
    IF newest <> in_newest THEN
        RETURN;
    END IF;
    -- The rows stay as they are until this commits: a deletion waits, and then finds the reference.
    PERFORM FROM control.subject_versions v
        JOIN jsonb_to_recordset(in_references) AS r (context text, "to" text, version integer, id integer)
          ON v.context = r.context AND v.subject = r."to" AND v.version = r.version AND v.schema_id = r.id
        WHERE NOT v.deleted ORDER BY v.context, v.subject, v.version FOR SHARE OF v;
    GET DIAGNOSTICS had = ROW_COUNT;
    IF had <> jsonb_array_length(in_references) THEN
        RETURN;
    END IF;

    IF EXISTS (SELECT FROM control.subject_versions v
               WHERE v.context = in_context AND v.subject = in_subject AND v.version = in_version) THEN
        outcome := 'version_taken';
        RETURN;
    END IF;

    IF in_version IS NULL AND last = 2147483647 THEN
        outcome := 'used_up';
        RETURN;
    END IF;

    SELECT s.id INTO register_schema.id FROM control.schemas s
        WHERE s.context = in_context AND s.fingerprint = in_identity;
    IF NOT FOUND THEN
        register_schema.id := in_id;
        WHILE register_schema.id IS NULL LOOP -- steps over ids that were imported
            register_schema.id := nextval('control.schema_ids');
            IF EXISTS (SELECT FROM control.schemas s WHERE s.id = register_schema.id) THEN
                register_schema.id := NULL;
            END IF;
        END LOOP;
        INSERT INTO control.schemas AS s (id, context, schema, fingerprint, printed, guid, metadata)
            VALUES (register_schema.id, in_context, in_schema, in_identity, in_printed, in_guid, in_metadata);
        INSERT INTO control.schema_references AS n
            (schema_id, position, name, subject, to_context, to_subject, version, to_id)
            SELECT register_schema.id, r.position - 1, r.name, r.subject, r.context, r."to", r.version, r.id
            FROM ROWS FROM (jsonb_to_recordset(in_references)
                            AS (name text, subject text, context text, "to" text, version integer, id integer))
                 WITH ORDINALITY AS r (name, subject, context, "to", version, id, position);
    ELSIF register_schema.id <> in_id THEN
        RAISE unique_violation USING MESSAGE = 'registered meanwhile under another id';
    END IF;
    register_schema.version := coalesce(in_version, last + 1);
    INSERT INTO control.subject_versions AS v (context, subject, version, schema_id)
        VALUES (in_context, in_subject, register_schema.version, register_schema.id);
    UPDATE control.subjects AS s SET last_version = greatest(last, register_schema.version)
        WHERE s.context = in_context AND s.subject = in_subject;
    outcome := 'new';
END
$$;

-- Deletes a version, or all (`in_version` null; 0 is the newest live one); permanently only what is deleted already.
--
-- Outcomes: done, with the versions; no_subject; no_version; soft_deleted (and not permanent); not_deleted (and
-- permanent), referenced: with the version in question. A live version that is referenced stays; a deleted one
-- stays as long as any schema, deleted or not, refers to it.
CREATE FUNCTION control.delete_versions(
    in_context text, in_subject text, in_version integer, in_permanent boolean,
    OUT outcome text, OUT versions integer[])
    LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    wanted integer := in_version;
    one    record;
    ids    integer[];
BEGIN
    PERFORM FROM control.subjects s WHERE s.context = in_context AND s.subject = in_subject FOR UPDATE;
    IF NOT EXISTS (SELECT FROM control.subject_versions v WHERE v.context = in_context AND v.subject = in_subject) THEN
        outcome := 'no_subject';
        RETURN;
    END IF;
    IF in_version = 0 THEN
        SELECT coalesce(max(v.version), 0) INTO wanted FROM control.subject_versions v
            WHERE v.context = in_context AND v.subject = in_subject AND NOT v.deleted;
    END IF;
    outcome := CASE WHEN in_version IS NULL THEN 'soft_deleted' ELSE 'no_version' END;
    FOR one IN SELECT v.version, v.deleted, v.schema_id FROM control.subject_versions v
               WHERE v.context = in_context AND v.subject = in_subject
                 AND (v.version = wanted OR wanted IS NULL AND (in_permanent OR NOT v.deleted))
               ORDER BY v.version FOR UPDATE LOOP
        outcome := CASE
            WHEN one.deleted AND NOT in_permanent THEN 'soft_deleted'
            WHEN EXISTS (SELECT FROM control.schema_references r
                         WHERE r.to_context = in_context AND r.to_subject = in_subject AND r.version = one.version
                           AND (in_permanent AND one.deleted
                                OR EXISTS (SELECT FROM control.subject_versions u
                                           WHERE u.schema_id = r.schema_id AND NOT u.deleted)))
                THEN 'referenced'
            WHEN in_permanent AND NOT one.deleted THEN 'not_deleted'
            ELSE 'done' END;
        IF outcome <> 'done' THEN
            versions := ARRAY[one.version];
            RETURN;
        END IF;
        versions := versions || one.version;
        ids := ids || one.schema_id;
    END LOOP;
    IF outcome <> 'done' THEN
        RETURN;
    END IF;
    IF NOT in_permanent THEN
        UPDATE control.subject_versions AS v SET deleted = true
            WHERE v.context = in_context AND v.subject = in_subject AND v.version = ANY (versions);
        RETURN;
    END IF;
    -- Before the triggers lock config_version, as registrations have it: otherwise the two could wait for each other.
    PERFORM FROM control.schemas s WHERE s.id = ANY (ids) ORDER BY s.id FOR UPDATE;
    DELETE FROM control.subject_versions v
        WHERE v.context = in_context AND v.subject = in_subject AND v.version = ANY (versions);
    DELETE FROM control.schemas s
        WHERE s.id = ANY (ids) AND NOT EXISTS (SELECT FROM control.subject_versions v WHERE v.schema_id = s.id);
    UPDATE control.registry_state SET deletions = deletions + 1;
END
$$;

GRANT SELECT, INSERT, UPDATE ON control.subjects TO tidegate_registry;
GRANT SELECT, INSERT, DELETE ON control.schema_references TO tidegate_registry;
GRANT SELECT, UPDATE ON control.registry_state TO tidegate_registry;
GRANT UPDATE, DELETE ON control.schemas TO tidegate_registry;
GRANT DELETE ON control.subject_versions TO tidegate_registry;
