-- DICOM instances: the index of what the object store holds. A study or a series has no row of its
-- own: what its instances say of it may differ, and each instance has its own place.
-- place: exam, inbox, held, quarantined, rejected. Earlier states stand in instance_version.
CREATE TABLE instance (
    tenant_id TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    -- Of the whole file. The same bytes are filed once in a practice.
    sha256 TEXT NOT NULL,
    len_bytes BIGINT NOT NULL,
    -- Where the object store has it.
    object_key TEXT NOT NULL,
    -- `dicom` from an imager through a gateway, `stow` from a program by DICOMweb.
    source TEXT NOT NULL,
    -- The gateway, or the account that stored it.
    gateway_id TEXT NOT NULL,
    link_id TEXT NOT NULL,
    lane_id TEXT NOT NULL,
    location_id TEXT NOT NULL,
    lane_session_id TEXT,
    calling_ae TEXT NOT NULL,
    received_at_us BIGINT NOT NULL,
    filed_at_us BIGINT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    modality TEXT NOT NULL,
    -- R, L, B, or empty where the object does not say it; why the object contradicts itself.
    eye TEXT NOT NULL,
    eye_disagreement TEXT,
    frames BIGINT NOT NULL,
    series_number BIGINT,
    instance_number BIGINT,
    concatenation_uid TEXT,
    -- By the instrument's clock, clinic-local, as it stands in the object.
    acquired_at TEXT,
    -- What the object says of the patient; never what we make of it.
    patient_id TEXT NOT NULL,
    -- In small letters, with its carets, for searching.
    patient_name_folded TEXT NOT NULL,
    birth_date TEXT,
    accession TEXT NOT NULL,
    -- JSON of imaging/header.rs.
    header TEXT NOT NULL,
    place TEXT NOT NULL,
    reason TEXT NOT NULL,
    encounter_id TEXT,
    -- It came after the exam was signed: an addendum.
    is_late BOOLEAN NOT NULL DEFAULT FALSE,
    -- The instance with the same UID and other content that came before it.
    contradicts TEXT,
    version BIGINT NOT NULL DEFAULT 1,
    changed_at_us BIGINT,
    changed_by TEXT,
    change_reason TEXT,
    PRIMARY KEY (tenant_id, instance_id)
);
CREATE UNIQUE INDEX instance_sha256 ON instance (tenant_id, sha256);
CREATE INDEX instance_sop ON instance (tenant_id, sop_instance_uid);
CREATE INDEX instance_study ON instance (tenant_id, study_instance_uid, series_instance_uid);
CREATE INDEX instance_encounter ON instance (tenant_id, encounter_id);
CREATE INDEX instance_patient ON instance (tenant_id, patient_id);
CREATE INDEX instance_waiting ON instance (tenant_id, location_id, received_at_us)
    WHERE place IN ('inbox', 'held', 'quarantined');
-- What is held is little and stays little.
CREATE INDEX instance_held ON instance (tenant_id, study_instance_uid) WHERE place = 'held';

-- The first instance with each SOP Instance UID. Who comes second, even at the same moment, is told
-- from the first by it.
CREATE TABLE instance_uid (
    tenant_id TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, sop_instance_uid)
);

-- Every superseded state of an instance, with who superseded it, when and why.
CREATE TABLE instance_version (
    tenant_id TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    place TEXT NOT NULL,
    reason TEXT NOT NULL,
    encounter_id TEXT,
    superseded_at_us BIGINT NOT NULL,
    superseded_by TEXT NOT NULL,
    superseded_why TEXT NOT NULL,
    PRIMARY KEY (tenant_id, instance_id, version)
);

-- What gateways have offered and not yet sent whole. How far it has come is the length of the file;
-- received_bytes is for people.
CREATE TABLE instance_upload (
    tenant_id TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    -- JSON of `InstanceOffer`.
    offer TEXT NOT NULL,
    len_bytes BIGINT NOT NULL,
    received_bytes BIGINT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    -- The visit of the lane session that was open when it arrived; a hint for people only.
    encounter_id TEXT,
    offered_at_us BIGINT NOT NULL,
    moved_at_us BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, sha256)
);
CREATE INDEX instance_upload_gateway ON instance_upload (tenant_id, gateway_id);
CREATE INDEX instance_upload_encounter ON instance_upload (tenant_id, encounter_id);

-- What imagers say they are doing (MPPS): images are expected (D7).
CREATE TABLE procedure_step (
    tenant_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    step_uid TEXT NOT NULL,
    link_id TEXT NOT NULL,
    lane_id TEXT NOT NULL,
    -- in_progress, completed, discontinued.
    status TEXT NOT NULL,
    study_instance_uid TEXT,
    encounter_id TEXT,
    -- JSON list of SOP Instance UIDs.
    instances TEXT NOT NULL,
    begun_at_us BIGINT NOT NULL,
    said_at_us BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, gateway_id, step_uid)
);
CREATE INDEX procedure_step_encounter ON procedure_step (tenant_id, encounter_id);
