-- Times are microseconds since 1970-01-01 UTC (…_at_us). Identifiers are text. tenant_id leads
-- every key, so that the schema shards as it is.

CREATE TABLE tenant (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_at_us BIGINT NOT NULL,
    last_event_id BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE location (
    tenant_id TEXT NOT NULL,
    location_id TEXT NOT NULL,
    name TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    PRIMARY KEY (tenant_id, location_id)
);

CREATE TABLE lane (
    tenant_id TEXT NOT NULL,
    lane_id TEXT NOT NULL,
    location_id TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (tenant_id, lane_id)
);

CREATE TABLE account (
    tenant_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    login TEXT NOT NULL,
    display_name TEXT NOT NULL,
    role TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at_us BIGINT NOT NULL,
    disabled_at_us BIGINT,
    PRIMARY KEY (tenant_id, account_id)
);
-- A login alone must name the tenant, because nobody types a tenant when signing in.
CREATE UNIQUE INDEX account_login ON account (login);

CREATE TABLE sign_in (
    tenant_id TEXT NOT NULL,
    token_sha256 TEXT NOT NULL,
    account_id TEXT NOT NULL,
    csrf_token TEXT NOT NULL,
    created_at_us BIGINT NOT NULL,
    seen_at_us BIGINT NOT NULL,
    expires_at_us BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, token_sha256)
);
CREATE UNIQUE INDEX sign_in_token ON sign_in (token_sha256);

CREATE TABLE gateway (
    tenant_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    location_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at_us BIGINT NOT NULL,
    enrolled_at_us BIGINT,
    revoked_at_us BIGINT,
    certificate_serial TEXT,
    certificate_expires_at_us BIGINT,
    status TEXT NOT NULL DEFAULT 'never_seen',
    status_session TEXT,
    status_detail TEXT,
    status_at_us BIGINT,
    telemetry TEXT,
    telemetry_at_us BIGINT,
    PRIMARY KEY (tenant_id, gateway_id)
);

-- Claim codes are kept as hashes; a code is spent when used_at_us is set.
CREATE TABLE claim (
    tenant_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    code_sha256 TEXT NOT NULL,
    created_at_us BIGINT NOT NULL,
    expires_at_us BIGINT NOT NULL,
    used_at_us BIGINT,
    PRIMARY KEY (tenant_id, code_sha256)
);
CREATE UNIQUE INDEX claim_code ON claim (code_sha256);

-- What brokers refused: a gateway beyond its own topics, an unknown certificate.
CREATE TABLE refusal (
    tenant_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    action TEXT NOT NULL,
    topic TEXT NOT NULL,
    first_at_us BIGINT NOT NULL,
    last_at_us BIGINT NOT NULL,
    times BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, gateway_id, action, topic)
);

CREATE TABLE patient (
    tenant_id TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    chart_number TEXT NOT NULL,
    family_name TEXT NOT NULL,
    given_name TEXT NOT NULL,
    birth_date TEXT NOT NULL,
    created_at_us BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, patient_id)
);
CREATE UNIQUE INDEX patient_chart_number ON patient (tenant_id, chart_number);

CREATE TABLE encounter (
    tenant_id TEXT NOT NULL,
    encounter_id TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    location_id TEXT NOT NULL,
    -- Clinic-local date of the visit, YYYY-MM-DD.
    visit_date TEXT NOT NULL,
    scheduled_at_us BIGINT NOT NULL,
    reason TEXT NOT NULL,
    -- The schedule's own key of the appointment: importing twice changes nothing.
    appointment_key TEXT NOT NULL,
    created_at_us BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, encounter_id)
);
CREATE UNIQUE INDEX encounter_appointment ON encounter (tenant_id, appointment_key);
CREATE INDEX encounter_day ON encounter (tenant_id, location_id, visit_date);
CREATE INDEX encounter_patient ON encounter (tenant_id, patient_id);

CREATE TABLE lane_session (
    tenant_id TEXT NOT NULL,
    lane_session_id TEXT NOT NULL,
    lane_id TEXT NOT NULL,
    encounter_id TEXT NOT NULL,
    opened_at_us BIGINT NOT NULL,
    opened_by TEXT NOT NULL,
    last_reading_at_us BIGINT,
    closed_at_us BIGINT,
    closed_by TEXT,
    close_reason TEXT,
    PRIMARY KEY (tenant_id, lane_session_id)
);
CREATE INDEX lane_session_lane ON lane_session (tenant_id, lane_id, opened_at_us);
-- One open session per lane, whatever happens at the same moment.
CREATE UNIQUE INDEX lane_session_open ON lane_session (tenant_id, lane_id)
    WHERE closed_at_us IS NULL;

-- The ledger: every numbered document of every gateway, once. `body` is the document as sent.
CREATE TABLE document (
    tenant_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    epoch TEXT NOT NULL,
    seq BIGINT NOT NULL,
    document_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    captured_at_us BIGINT NOT NULL,
    received_at_us BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant_id, gateway_id, epoch, seq)
);
CREATE UNIQUE INDEX document_id ON document (tenant_id, document_id);

-- Documents that cannot be filed: kept, with the reason.
CREATE TABLE rejected_document (
    tenant_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    epoch TEXT NOT NULL,
    seq BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    code TEXT NOT NULL,
    detail TEXT NOT NULL,
    received_at_us BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant_id, gateway_id, epoch, seq, sha256)
);

-- How far each gateway's numbers have come. Everything up to highest is filed or rejected, but for
-- the gaps: a JSON list of first and last missing number.
CREATE TABLE stream (
    tenant_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    epoch TEXT NOT NULL,
    upto BIGINT NOT NULL,
    highest BIGINT NOT NULL,
    gaps TEXT NOT NULL DEFAULT '[]',
    rejected BIGINT NOT NULL DEFAULT 0,
    first_at_us BIGINT NOT NULL,
    last_at_us BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, gateway_id, epoch)
);

-- Where each reading is now. place: exam, tray, inbox, held, duplicate.
-- acceptance: pending, accepted, rejected. Earlier states stand in reading_version.
CREATE TABLE reading (
    tenant_id TEXT NOT NULL,
    reading_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    epoch TEXT NOT NULL,
    seq BIGINT NOT NULL,
    location_id TEXT NOT NULL,
    lane_id TEXT NOT NULL,
    link_id TEXT NOT NULL,
    vendor TEXT NOT NULL,
    model TEXT NOT NULL,
    content_sha256 TEXT NOT NULL,
    captured_at_us BIGINT NOT NULL,
    received_at_us BIGINT NOT NULL,
    claimed_patient TEXT,
    lane_session_id TEXT,
    place TEXT NOT NULL,
    reason TEXT NOT NULL,
    encounter_id TEXT,
    acceptance TEXT NOT NULL DEFAULT 'pending',
    needs_a_look BOOLEAN NOT NULL,
    sent_count BIGINT NOT NULL DEFAULT 1,
    duplicate_of TEXT,
    version BIGINT NOT NULL DEFAULT 1,
    changed_at_us BIGINT,
    changed_by TEXT,
    change_reason TEXT,
    PRIMARY KEY (tenant_id, reading_id)
);
CREATE INDEX reading_encounter ON reading (tenant_id, encounter_id);
CREATE INDEX reading_waiting ON reading (tenant_id, lane_id, captured_at_us)
    WHERE place IN ('tray', 'inbox', 'held');
CREATE INDEX reading_content ON reading (tenant_id, content_sha256);

-- Every superseded state of a reading, with who superseded it, when and why.
CREATE TABLE reading_version (
    tenant_id TEXT NOT NULL,
    reading_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    place TEXT NOT NULL,
    reason TEXT NOT NULL,
    encounter_id TEXT,
    acceptance TEXT NOT NULL,
    superseded_at_us BIGINT NOT NULL,
    superseded_by TEXT NOT NULL,
    superseded_why TEXT NOT NULL,
    PRIMARY KEY (tenant_id, reading_id, version)
);

-- What pages are told, in the order of commit, numbered per tenant for replay.
CREATE TABLE live_event (
    tenant_id TEXT NOT NULL,
    event_id BIGINT NOT NULL,
    at_us BIGINT NOT NULL,
    kind TEXT NOT NULL,
    location_id TEXT,
    lane_id TEXT,
    encounter_id TEXT,
    gateway_id TEXT,
    subject TEXT,
    PRIMARY KEY (tenant_id, event_id)
);

CREATE TABLE audit_entry (
    tenant_id TEXT NOT NULL,
    audit_entry_id TEXT NOT NULL,
    at_us BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    PRIMARY KEY (tenant_id, audit_entry_id)
);
CREATE INDEX audit_entry_time ON audit_entry (tenant_id, at_us);
