-- What the worker keeps beside events and minutes.

-- The first time given to an event whose time is our own (none given, or clamped): whoever comes first
-- wins, for 7 days.
CREATE TABLE data.event_times (
    tenant_id   text COLLATE "C" NOT NULL,
    type        text COLLATE "C" NOT NULL,
    event_id    uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, type, event_id)
);
CREATE INDEX event_times_created ON data.event_times (created_at);

-- Running states that a type declares, by entity (a stream's active viewers).
CREATE TABLE data.stream_state (
    tenant_id  text COLLATE "C" NOT NULL,
    type       text COLLATE "C" NOT NULL,
    entity     text COLLATE "C" NOT NULL,
    name       text COLLATE "C" NOT NULL,
    value      bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, type, entity, name)
);

-- One row per partition: the next offset to store and who may store it. Every transaction of a worker
-- locks its row and checks the epoch; a claim raises it and so fences the owner before.
CREATE TABLE data.consumer_offsets (
    topic       text COLLATE "C" NOT NULL,
    partition   integer NOT NULL CHECK (partition >= 0),
    epoch       bigint NOT NULL DEFAULT 0,
    owner       text NOT NULL DEFAULT '',
    backend_pid integer,
    next_offset bigint, -- NULL: nothing stored yet, start at the earliest
    cluster_id  text NOT NULL DEFAULT '',
    topic_id    text NOT NULL DEFAULT '',
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition)
);

-- Who runs a piece of maintenance now; the epoch rises with each new holder.
CREATE TABLE data.leases (
    name       text COLLATE "C" PRIMARY KEY,
    owner      text NOT NULL DEFAULT '',
    epoch      bigint NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL
);

-- Records and rows that could not be stored, with all that a replay needs. tenant_id is NULL where
-- the record did not say it: only the operator sees those. headers: [{"name": …, "value": base64 or
-- null}, …] in the record's order.
CREATE TABLE data.dead_letters (
    id            uuid PRIMARY KEY,
    tenant_id     text COLLATE "C",
    type          text COLLATE "C",
    event_id      uuid,
    occurred_at   timestamptz,
    error_code    text NOT NULL,
    error_text    text NOT NULL,
    topic         text COLLATE "C" NOT NULL,
    partition     integer NOT NULL,
    record_offset bigint NOT NULL,
    topic_id      text NOT NULL DEFAULT '', -- offsets begin again when a topic is recreated
    record_key    bytea,
    record_value  bytea,
    headers       jsonb NOT NULL DEFAULT '[]',
    created_at    timestamptz NOT NULL DEFAULT now(),
    published_at  timestamptz, -- NULL: still to be sent to the dead-letter topic
    replayed_at   timestamptz,
    UNIQUE (topic, partition, record_offset, topic_id)
);
CREATE INDEX dead_letters_tenant ON data.dead_letters (tenant_id, created_at);
CREATE INDEX dead_letters_unsent ON data.dead_letters (created_at) WHERE published_at IS NULL;

-- Hours that changed since they were last rolled up: one row per tenant and hour of every batch, in the
-- batch's transaction, appended and never updated so that workers don't wait for each other. While
-- any such row is visible, readers take the hour from its minutes. Maintenance deletes the rows it has
-- seen; a row that commits later stays. Days follow hours in the same way.
CREATE TABLE data.touched_hours (
    id        bigint GENERATED ALWAYS AS IDENTITY,
    tenant_id text COLLATE "C" NOT NULL,
    hour      timestamptz NOT NULL
);
CREATE INDEX touched_hours_tenant ON data.touched_hours (tenant_id, hour);

CREATE TABLE data.touched_days (
    id        bigint GENERATED ALWAYS AS IDENTITY,
    tenant_id text COLLATE "C" NOT NULL,
    day       timestamptz NOT NULL
);
CREATE INDEX touched_days_tenant ON data.touched_days (tenant_id, day);

GRANT SELECT, INSERT, DELETE ON data.event_times, data.touched_hours, data.touched_days
    TO tidegate_worker;
GRANT SELECT, INSERT, UPDATE ON data.stream_state, data.consumer_offsets, data.leases
    TO tidegate_worker;
GRANT SELECT, INSERT, UPDATE ON data.dead_letters TO tidegate_worker;
