-- Schemas and the roles that the services connect as.
--
-- control: who may do what (tenants, plans, keys, schemas); data: what happened; api: what one tenant
-- may see of it. All of it belongs to the role that runs the migrations. Roles are made without a
-- password: whoever runs the server gives them one, or none where the socket is trusted.
-- A role belongs to the whole cluster, so another database may have made it already.

DO $roles$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['tidegate_worker', 'tidegate_query', 'tidegate_gateway',
                                     'tidegate_registry']
    LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I LOGIN', role_name);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL;
        END;
    END LOOP;
    BEGIN
        -- SQL logins of tenants are members of this role; control.sql_logins says whose they are.
        CREATE ROLE tidegate_sql NOLOGIN;
    EXCEPTION
        WHEN duplicate_object OR unique_violation THEN
            NULL;
    END;
END
$roles$;

-- A tenant's share of the rows decides the plan, so a generic one is always wrong for somebody. JIT
-- costs more than it saves on queries over many small partitions.
ALTER ROLE tidegate_query SET plan_cache_mode = 'force_custom_plan';
ALTER ROLE tidegate_query SET statement_timeout = '10s';
ALTER ROLE tidegate_query SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE tidegate_query SET jit = off;
ALTER ROLE tidegate_worker SET jit = off;

CREATE SCHEMA control;
CREATE SCHEMA data;
CREATE SCHEMA api;

GRANT USAGE ON SCHEMA control TO tidegate_worker, tidegate_gateway, tidegate_registry;
GRANT USAGE ON SCHEMA data TO tidegate_worker;
GRANT USAGE ON SCHEMA api TO tidegate_query, tidegate_sql;
