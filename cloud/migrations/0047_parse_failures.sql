-- Why each capture gave no reading, in columns, so that many can be grouped (C4). The capture itself
-- is the document.
CREATE TABLE parse_failure (
    tenant_id TEXT NOT NULL,
    document_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    link_id TEXT NOT NULL,
    driver_id TEXT NOT NULL,
    driver_version TEXT NOT NULL,
    code TEXT NOT NULL,
    -- Position of the first byte that the driver refused; -1 if there is none.
    first_byte BIGINT NOT NULL,
    captured_at_us BIGINT NOT NULL,
    -- When a later driver made readings of it.
    read_at_us BIGINT,
    PRIMARY KEY (tenant_id, document_id)
);
CREATE INDEX parse_failure_time ON parse_failure (tenant_id, captured_at_us);
CREATE INDEX parse_failure_driver ON parse_failure (tenant_id, driver_id, document_id);

-- Documents whose bytes a later driver was given again, and what became of it. Written in the same
-- transaction, so that nothing is done twice with one version of a driver.
CREATE TABLE decoded_again (
    tenant_id TEXT NOT NULL,
    driver_id TEXT NOT NULL,
    driver_version TEXT NOT NULL,
    document_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    decoded_at_us BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, driver_id, driver_version, document_id)
);

-- Who asked for what was decoded again, and whether it is done.
CREATE TABLE decode_again_run (
    tenant_id TEXT NOT NULL,
    driver_id TEXT NOT NULL,
    driver_version TEXT NOT NULL,
    asked_at_us BIGINT NOT NULL,
    asked_by TEXT NOT NULL,
    finished_at_us BIGINT,
    PRIMARY KEY (tenant_id, driver_id, driver_version)
);
