-- What people type into an exam: acuities, the subjective refraction, the final prescription. One
-- row per kind holds the state of today as JSON (domain/prescription.rs); earlier ones stand in
-- exam_entry_version.
CREATE TABLE exam_entry (
    tenant_id TEXT NOT NULL,
    encounter_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    changed_at_us BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    change_reason TEXT NOT NULL,
    PRIMARY KEY (tenant_id, encounter_id, kind)
);
CREATE TABLE exam_entry_version (
    tenant_id TEXT NOT NULL,
    encounter_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    changed_at_us BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    change_reason TEXT NOT NULL,
    superseded_at_us BIGINT NOT NULL,
    superseded_by TEXT NOT NULL,
    superseded_why TEXT NOT NULL,
    PRIMARY KEY (tenant_id, encounter_id, kind, version)
);

-- A signed exam: what was signed (JSON), its hash, and the words of the signature with what was
-- left open. Never changed and never deleted.
CREATE TABLE exam_signature (
    tenant_id TEXT NOT NULL,
    encounter_id TEXT NOT NULL,
    signed_at_us BIGINT NOT NULL,
    signed_by TEXT NOT NULL,
    signature_text TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    snapshot_sha256 TEXT NOT NULL,
    PRIMARY KEY (tenant_id, encounter_id)
);

-- What was added to a signed exam, by a doctor or by itself.
CREATE TABLE addendum (
    tenant_id TEXT NOT NULL,
    addendum_id TEXT NOT NULL,
    encounter_id TEXT NOT NULL,
    added_at_us BIGINT NOT NULL,
    added_by TEXT NOT NULL,
    is_automatic BOOLEAN NOT NULL,
    addendum_text TEXT NOT NULL,
    PRIMARY KEY (tenant_id, addendum_id)
);
CREATE INDEX addendum_encounter ON addendum (tenant_id, encounter_id, added_at_us);

-- What one person is told about one exam, until they have seen it.
CREATE TABLE notice (
    tenant_id TEXT NOT NULL,
    notice_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    encounter_id TEXT NOT NULL,
    noticed_at_us BIGINT NOT NULL,
    kind TEXT NOT NULL,
    notice_text TEXT NOT NULL,
    seen_at_us BIGINT,
    PRIMARY KEY (tenant_id, notice_id)
);
CREATE INDEX notice_unseen ON notice (tenant_id, account_id) WHERE seen_at_us IS NULL;
CREATE INDEX notice_encounter ON notice (tenant_id, encounter_id, account_id);
CREATE INDEX notice_account ON notice (tenant_id, account_id, noticed_at_us);
