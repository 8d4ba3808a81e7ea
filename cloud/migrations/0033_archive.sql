-- Where a location's accepted readings are sent as DICOM objects.
CREATE TABLE archive_destination (
    tenant_id TEXT NOT NULL,
    location_id TEXT NOT NULL,
    host TEXT NOT NULL,
    port BIGINT NOT NULL,
    called_ae TEXT NOT NULL,
    calling_ae TEXT NOT NULL,
    is_enabled BOOLEAN NOT NULL,
    changed_at_us BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, location_id)
);

-- What is to be sent: a row for each accepted version of a reading, made in the transaction that made
-- the version. state: waiting, sent, nothing (no object can be made of it), superseded.
CREATE TABLE archive_export (
    tenant_id TEXT NOT NULL,
    reading_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    location_id TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    queued_at_us BIGINT NOT NULL,
    due_at_us BIGINT NOT NULL,
    done_at_us BIGINT,
    -- How often nothing came of it and why, or what was sent. Never a patient's data.
    detail TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, reading_id, version)
);
CREATE INDEX archive_export_waiting ON archive_export (due_at_us, tenant_id, location_id)
    WHERE state = 'waiting';
CREATE INDEX archive_export_location ON archive_export (tenant_id, location_id, state);
