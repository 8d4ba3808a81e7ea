-- What people say about a reading beyond what the instrument sent: see domain/correction.rs. JSON,
-- or NULL as long as nobody said anything.
ALTER TABLE reading ADD COLUMN correction TEXT;
ALTER TABLE reading_version ADD COLUMN correction TEXT;
-- A reading that a person typed has no gateway; its document stands under the gateway name '@manual',
-- which no gateway can have.
ALTER TABLE reading ADD COLUMN is_manual BOOLEAN NOT NULL DEFAULT FALSE;

-- The identifier that we issue for a visit: instruments send it back, and it names one encounter.
ALTER TABLE encounter ADD COLUMN accession TEXT;
CREATE UNIQUE INDEX encounter_accession ON encounter (tenant_id, accession);

-- Two charts of one person: the merged one stays as it is and points to the survivor. Nothing of
-- either is moved, so that taking it back is exact.
ALTER TABLE patient ADD COLUMN merged_into TEXT;
CREATE INDEX patient_merged_into ON patient (tenant_id, merged_into);
CREATE TABLE patient_merge (
    tenant_id TEXT NOT NULL,
    patient_merge_id TEXT NOT NULL,
    survivor_id TEXT NOT NULL,
    merged_id TEXT NOT NULL,
    merged_at_us BIGINT NOT NULL,
    merged_by TEXT NOT NULL,
    merged_why TEXT NOT NULL,
    undone_at_us BIGINT,
    undone_by TEXT,
    undone_why TEXT,
    PRIMARY KEY (tenant_id, patient_merge_id)
);
CREATE INDEX patient_merge_survivor ON patient_merge (tenant_id, survivor_id);

-- "Not taken", with the reason, of one test of one visit (R16, T11).
CREATE TABLE not_taken (
    tenant_id TEXT NOT NULL,
    not_taken_id TEXT NOT NULL,
    encounter_id TEXT NOT NULL,
    test TEXT NOT NULL,
    eye TEXT NOT NULL,
    reason TEXT NOT NULL,
    noted_at_us BIGINT NOT NULL,
    noted_by TEXT NOT NULL,
    withdrawn_at_us BIGINT,
    withdrawn_by TEXT,
    PRIMARY KEY (tenant_id, not_taken_id)
);
CREATE INDEX not_taken_encounter ON not_taken (tenant_id, encounter_id);

-- Who accepted a reading, whatever was said about it since.
ALTER TABLE reading ADD COLUMN accepted_at_us BIGINT;
ALTER TABLE reading ADD COLUMN accepted_by TEXT;
UPDATE reading SET accepted_at_us = changed_at_us, accepted_by = changed_by
    WHERE acceptance = 'accepted';

-- What the lensmeter measures next in this session, if somebody said it before the print (T10).
ALTER TABLE lane_session ADD COLUMN lens_purpose TEXT;

-- Drops that change what is measured after them (R11, R20).
CREATE TABLE drops (
    tenant_id TEXT NOT NULL,
    drops_id TEXT NOT NULL,
    encounter_id TEXT NOT NULL,
    agent TEXT NOT NULL,
    given_at_us BIGINT NOT NULL,
    noted_at_us BIGINT NOT NULL,
    noted_by TEXT NOT NULL,
    withdrawn_at_us BIGINT,
    withdrawn_by TEXT,
    PRIMARY KEY (tenant_id, drops_id)
);
CREATE INDEX drops_encounter ON drops (tenant_id, encounter_id);
