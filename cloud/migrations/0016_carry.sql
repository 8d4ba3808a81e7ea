-- What carries on from a signed exam. A prescription is "not sent" until optical says that it has it.
CREATE TABLE optical_handoff (
    tenant_id TEXT NOT NULL,
    encounter_id TEXT NOT NULL,
    received_at_us BIGINT NOT NULL,
    received_by TEXT NOT NULL,
    PRIMARY KEY (tenant_id, encounter_id)
);

-- An order of glasses as it is now; `body` is JSON of domain/order.rs. status: open, sent_back,
-- accepted, cancelled. Earlier states stand in optical_order_version.
CREATE TABLE optical_order (
    tenant_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    encounter_id TEXT NOT NULL,
    order_number TEXT NOT NULL,
    status TEXT NOT NULL,
    body TEXT NOT NULL,
    version BIGINT NOT NULL,
    made_at_us BIGINT NOT NULL,
    made_by TEXT NOT NULL,
    changed_at_us BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    change_reason TEXT NOT NULL,
    PRIMARY KEY (tenant_id, order_id)
);
-- Numbers are kept in capitals; a number names one order of the practice.
CREATE UNIQUE INDEX optical_order_number ON optical_order (tenant_id, order_number);
CREATE INDEX optical_order_encounter ON optical_order (tenant_id, encounter_id);
CREATE TABLE optical_order_version (
    tenant_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    status TEXT NOT NULL,
    body TEXT NOT NULL,
    changed_at_us BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    change_reason TEXT NOT NULL,
    superseded_at_us BIGINT NOT NULL,
    superseded_by TEXT NOT NULL,
    superseded_why TEXT NOT NULL,
    PRIMARY KEY (tenant_id, order_id, version)
);

-- What the optician decided about finished glasses, with the comparison as it was seen (JSON of
-- domain/check_in.rs): tolerances may be configured anew later. decision: accepted, sent_back.
CREATE TABLE check_in (
    tenant_id TEXT NOT NULL,
    check_in_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    order_version BIGINT NOT NULL,
    reading_id TEXT NOT NULL,
    reading_version BIGINT NOT NULL,
    decision TEXT NOT NULL,
    decision_reason TEXT NOT NULL,
    compared TEXT NOT NULL,
    decided_at_us BIGINT NOT NULL,
    decided_by TEXT NOT NULL,
    PRIMARY KEY (tenant_id, check_in_id)
);
CREATE INDEX check_in_order ON check_in (tenant_id, order_id, decided_at_us);

-- What people said about a charge proposal; the proposals themselves are derived from the exam.
-- mark: ordered, reported, dismissed, reopened, billed. `evidence` names what it was said about.
CREATE TABLE charge_mark (
    tenant_id TEXT NOT NULL,
    charge_mark_id TEXT NOT NULL,
    encounter_id TEXT NOT NULL,
    code TEXT NOT NULL,
    mark TEXT NOT NULL,
    note TEXT NOT NULL,
    evidence TEXT NOT NULL,
    marked_at_us BIGINT NOT NULL,
    marked_by TEXT NOT NULL,
    PRIMARY KEY (tenant_id, charge_mark_id)
);
CREATE INDEX charge_mark_encounter ON charge_mark (tenant_id, encounter_id, marked_at_us);
