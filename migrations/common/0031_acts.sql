-- What an operator does to a running gateway changes no row; the audit log has it all the same.

CREATE FUNCTION admin.note_act(kind text, verb text, object text, details jsonb) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF kind <> ALL ('{gateway,breaker}') OR verb !~ '^[a-z_]{1,32}$' THEN
        PERFORM admin.refuse('TG400', 'kind', 'No such act is noted.');
    END IF;
    INSERT INTO control.audit_log (actor, address, action, kind, object, after)
    SELECT coalesce(w.actor, 'sql:' || session_user), coalesce(w.address, host(inet_client_addr()), 'local'),
           kind || '.' || verb, kind, left(object, 255), details
    FROM control.audit_actor() w;
    RETURN '{}';
END
$$;

REVOKE ALL ON FUNCTION admin.note_act(text, text, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION admin.note_act(text, text, text, jsonb) TO tidegate_admin;
