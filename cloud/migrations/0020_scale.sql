-- Names in small letters, folded here and not by the database: SQLite knows ASCII only. NULL until
-- store/patient.rs has folded what was there before.
ALTER TABLE patient ADD COLUMN family_name_folded TEXT;
ALTER TABLE patient ADD COLUMN given_name_folded TEXT;
CREATE INDEX patient_family_name ON patient
    (tenant_id, family_name_folded, given_name_folded, patient_id);
CREATE INDEX patient_given_name ON patient
    (tenant_id, given_name_folded, family_name_folded, patient_id);
CREATE INDEX patient_unfolded ON patient (tenant_id, patient_id) WHERE family_name_folded IS NULL;

-- Who has taken a reading that waits upon themselves (C6), as long as it waits.
ALTER TABLE reading ADD COLUMN owned_by TEXT;
ALTER TABLE reading ADD COLUMN owned_at_us BIGINT;

-- What waits is little and stays little. Rejected readings stay where they waited: an index with
-- them would grow for ever. Every query says these conditions letter by letter, because SQLite
-- compares them so.
DROP INDEX reading_waiting;
CREATE INDEX reading_waiting ON reading
    (tenant_id, location_id, captured_at_us, reading_id, place, owned_by)
    WHERE place IN ('tray', 'inbox', 'held') AND acceptance <> 'rejected';
CREATE INDEX reading_waiting_lane ON reading (tenant_id, lane_id, captured_at_us, place)
    WHERE place IN ('tray', 'inbox', 'held') AND acceptance <> 'rejected';
CREATE INDEX reading_waiting_tray ON reading (tenant_id, received_at_us)
    WHERE place = 'tray' AND acceptance <> 'rejected';
CREATE INDEX reading_waiting_held ON reading (tenant_id, lane_session_id)
    WHERE place = 'held' AND acceptance <> 'rejected';
-- What is not in an exam, for the proof that nothing is lost: here the rejected ones count.
CREATE INDEX reading_not_in_exam ON reading (tenant_id, gateway_id, epoch, place)
    WHERE place IN ('tray', 'inbox', 'held');

-- The sessions of a visit.
CREATE INDEX lane_session_encounter ON lane_session (tenant_id, encounter_id, opened_at_us);

-- The beginning of a stream that is counted already, as JSON of store/reconcile.rs: documents are
-- never changed, so it is counted once.
ALTER TABLE stream ADD COLUMN counted_upto BIGINT NOT NULL DEFAULT 0;
ALTER TABLE stream ADD COLUMN counted TEXT NOT NULL DEFAULT '{}';

-- Which instruments have sent readings over which links.
CREATE TABLE instrument (
    tenant_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    link_id TEXT NOT NULL,
    vendor TEXT NOT NULL,
    model TEXT NOT NULL,
    PRIMARY KEY (tenant_id, gateway_id, link_id, vendor, model)
);

-- The readings of one day of a location.
CREATE INDEX reading_day ON reading (tenant_id, location_id, captured_at_us);

-- Hours (UTC) of a location in which something came or changed, and which the reports have not
-- counted since. Only ever added and, once counted, deleted by id: nobody waits for anybody.
CREATE TABLE report_stale (
    tenant_id TEXT NOT NULL,
    location_id TEXT NOT NULL,
    hour_us BIGINT NOT NULL,
    mark_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, location_id, hour_us, mark_id)
);
-- When a location was last counted; its row is the lock between replicas.
CREATE TABLE report_counted (
    tenant_id TEXT NOT NULL,
    location_id TEXT NOT NULL,
    counted_at_us BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, location_id)
);

-- One clinic-local day of one instrument in one lane; domain/report.rs says what is counted.
CREATE TABLE report_day (
    tenant_id TEXT NOT NULL,
    location_id TEXT NOT NULL,
    day TEXT NOT NULL,
    lane_id TEXT NOT NULL,
    vendor TEXT NOT NULL,
    model TEXT NOT NULL,
    readings BIGINT NOT NULL,
    second_prints BIGINT NOT NULL,
    typed BIGINT NOT NULL,
    exams BIGINT NOT NULL,
    repeats BIGINT NOT NULL,
    graded BIGINT NOT NULL,
    low_confidence BIGINT NOT NULL,
    by_itself BIGINT NOT NULL,
    from_tray BIGINT NOT NULL,
    from_inbox BIGINT NOT NULL,
    moved BIGINT NOT NULL,
    rejected BIGINT NOT NULL,
    waiting BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, location_id, day, lane_id, vendor, model)
);
-- Exams of one day: those that had anything measured in a lane, and those that began there, whose
-- sum over the lanes counts each exam once.
CREATE TABLE report_exams (
    tenant_id TEXT NOT NULL,
    location_id TEXT NOT NULL,
    day TEXT NOT NULL,
    lane_id TEXT NOT NULL,
    exams BIGINT NOT NULL,
    begun BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, location_id, day, lane_id)
);
-- How many exams of a day took so many minutes from check-in to the last pretest reading: medians
-- cannot be added up, these can.
CREATE TABLE report_minutes (
    tenant_id TEXT NOT NULL,
    location_id TEXT NOT NULL,
    day TEXT NOT NULL,
    minutes BIGINT NOT NULL,
    exams BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, location_id, day, minutes)
);
