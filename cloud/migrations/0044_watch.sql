-- What is wrong with a gateway, from when it began until it was well for a while: at most one open
-- incident for each gateway and kind, however often it comes and goes (C3).
CREATE TABLE incident (
    tenant_id TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    opened_at_us BIGINT NOT NULL,
    -- Where it stands, as domain/incident.rs keeps it. Neither time: nobody can see it just now.
    bad_since_us BIGINT,
    good_since_us BIGINT,
    bad_us BIGINT NOT NULL,
    times BIGINT NOT NULL,
    raised_at_us BIGINT,
    closed_at_us BIGINT,
    detail TEXT NOT NULL,
    acknowledged_at_us BIGINT,
    acknowledged_by TEXT,
    -- Replicas look at the same moment: the one that comes second changes nothing.
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, incident_id)
);
CREATE UNIQUE INDEX incident_open ON incident (tenant_id, gateway_id, kind)
    WHERE closed_at_us IS NULL;
CREATE INDEX incident_closed ON incident (tenant_id, closed_at_us);

-- What people outside are told of incidents, made in the transaction that changed them.
-- state: waiting, sent, given_up.
CREATE TABLE incident_notice (
    tenant_id TEXT NOT NULL,
    notice_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    queued_at_us BIGINT NOT NULL,
    due_at_us BIGINT NOT NULL,
    done_at_us BIGINT,
    detail TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, notice_id)
);
CREATE INDEX incident_notice_waiting ON incident_notice (due_at_us, tenant_id)
    WHERE state = 'waiting';

-- When a location is open, in its own time. Weekday 1 is Monday; minutes count from midnight.
CREATE TABLE opening_hours (
    tenant_id TEXT NOT NULL,
    location_id TEXT NOT NULL,
    weekday BIGINT NOT NULL,
    opens_minute BIGINT NOT NULL,
    closes_minute BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, location_id, weekday)
);
CREATE TABLE holiday (
    tenant_id TEXT NOT NULL,
    location_id TEXT NOT NULL,
    -- Clinic-local date, YYYY-MM-DD.
    day TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (tenant_id, location_id, day)
);

-- Readings of a link in an hour (UTC), counted from `reading`.
CREATE TABLE link_hour (
    tenant_id TEXT NOT NULL,
    location_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    link_id TEXT NOT NULL,
    hour_us BIGINT NOT NULL,
    readings BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, location_id, gateway_id, link_id, hour_us)
);
CREATE INDEX link_hour_time ON link_hour (tenant_id, hour_us);
CREATE TABLE link_hour_counted (
    tenant_id TEXT NOT NULL,
    location_id TEXT NOT NULL,
    counted_at_us BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, location_id)
);

-- What is known of a link beside what its gateway tells.
CREATE TABLE link_watch (
    tenant_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    link_id TEXT NOT NULL,
    -- The instrument's clock less the gateway's, with the reading that showed it.
    clock_offset_us BIGINT,
    clock_at_us BIGINT,
    -- Readings of today, and how many are usual by this hour; NULL with too little history or on a
    -- day on which the location is closed.
    today BIGINT NOT NULL DEFAULT 0,
    usual BIGINT,
    quiet_since_us BIGINT,
    PRIMARY KEY (tenant_id, gateway_id, link_id)
);
