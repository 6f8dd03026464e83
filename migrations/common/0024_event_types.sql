-- Which event types there are, and since which version of the configuration: what ingestion asks to hear
-- of a new type or version, and what GET /v2/event-types lists.
--
-- A subject "<type>-value" is an event type while its newest version is a record with a role. The table is
-- kept by a trigger, so that it is right whoever writes the versions. `changed` is the configuration's
-- version in the transaction that made the change. That number's row is locked until the commit, so
-- whoever has read up to version n has missed nothing at or below n.

DO $roles$
BEGIN
    CREATE ROLE tidegate_ingestion LOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN
        NULL;
END
$roles$;

CREATE TABLE control.event_types (
    context    text COLLATE "C" NOT NULL,
    type       text COLLATE "C" NOT NULL CHECK (type ~ '^[a-z][a-z0-9_]{0,62}$'),
    version    integer, -- the newest one; NULL: there is no such type any more
    schema_id  integer CHECK ((schema_id IS NULL) = (version IS NULL)),
    changed    bigint NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (context, type)
);
CREATE INDEX event_types_changed ON control.event_types (changed);

-- The registry has checked the text; what JSON functions cannot read all the same (an escaped NUL) is no
-- event type.
CREATE FUNCTION control.carries_roles(schema text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    node json;
BEGIN
    node := schema::json;
    RETURN json_typeof(node) = 'object' AND node ->> 'type' = 'record'
        AND json_typeof(node -> 'fields') = 'array'
        AND EXISTS (SELECT FROM json_array_elements(node -> 'fields') AS field
                    WHERE json_typeof(field) = 'object' AND json_typeof(field -> 'role') = 'string'
                      AND field ->> 'role' <> '');
EXCEPTION
    WHEN data_exception THEN
        RETURN false;
END
$$;

CREATE FUNCTION control.event_type_of(subject text) RETURNS text
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT substring(subject COLLATE "C" FROM '^([a-z][a-z0-9_]{0,62})-value$')
$$;

-- Looks at the subject anew. A type that has gone leaves a row for ten minutes, so that it is announced.
CREATE FUNCTION control.note_event_type(of_context text, of_subject text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    of_type text := control.event_type_of(of_subject);
    newest  record;
    now_at  bigint;
BEGIN
    UPDATE control.config_version SET version = version + 1, changed_at = clock_timestamp()
    RETURNING version INTO now_at;
    SELECT v.version, v.schema_id, s.schema INTO newest
    FROM control.subject_versions v
    JOIN control.schemas s ON s.context = v.context AND s.id = v.schema_id
    WHERE v.context = of_context AND v.subject = of_subject AND NOT v.deleted
    ORDER BY v.version DESC LIMIT 1;
    IF FOUND AND control.carries_roles(newest.schema) THEN
        INSERT INTO control.event_types (context, type, version, schema_id, changed)
        VALUES (of_context, of_type, newest.version, newest.schema_id, now_at)
        ON CONFLICT (context, type) DO UPDATE
            SET version = excluded.version, schema_id = excluded.schema_id, changed = excluded.changed,
                changed_at = excluded.changed_at;
    ELSE
        UPDATE control.event_types
        SET version = NULL, schema_id = NULL, changed = now_at, changed_at = clock_timestamp()
        WHERE context = of_context AND type = of_type AND version IS NOT NULL;
        DELETE FROM control.event_types
        WHERE context = of_context AND version IS NULL
          AND changed_at < clock_timestamp() - interval '10 minutes';
    END IF;
END
$$;

CREATE FUNCTION control.note_event_types() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM control.note_event_type(OLD.context, OLD.subject);
    ELSE
        PERFORM control.note_event_type(NEW.context, NEW.subject);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER event_types_written AFTER INSERT OR UPDATE ON control.subject_versions
    FOR EACH ROW WHEN (control.event_type_of(NEW.subject) IS NOT NULL)
    EXECUTE FUNCTION control.note_event_types();
CREATE TRIGGER event_types_deleted AFTER DELETE ON control.subject_versions
    FOR EACH ROW WHEN (control.event_type_of(OLD.subject) IS NOT NULL)
    EXECUTE FUNCTION control.note_event_types();

-- Whether the tenant may have the subject as an event type: it is one already, or there are fewer than
-- `most`. The default context has no limit. (PL/pgSQL keeps the plan, SQL would make it at each call.)
CREATE FUNCTION control.event_type_room(of_context text, of_subject text, most bigint) RETURNS boolean
    LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF of_context = '' THEN
        RETURN true;
    END IF;
    RETURN EXISTS (SELECT FROM control.event_types e WHERE e.context = of_context
                   AND e.type = control.event_type_of(of_subject) AND e.version IS NOT NULL)
        OR (SELECT count(*) FROM control.event_types e
            WHERE e.context = of_context AND e.version IS NOT NULL) < most;
END
$$;

SELECT control.note_event_type(v.context, v.subject)
FROM (SELECT DISTINCT context, subject FROM control.subject_versions) v
WHERE control.event_type_of(v.subject) IS NOT NULL;

REVOKE ALL ON FUNCTION control.carries_roles(text), control.note_event_type(text, text),
    control.note_event_types() FROM PUBLIC;
GRANT USAGE ON SCHEMA control TO tidegate_ingestion;
GRANT SELECT ON control.config_version, control.event_types TO tidegate_ingestion;
GRANT SELECT ON control.event_types TO tidegate_registry;
