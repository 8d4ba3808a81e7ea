-- A gateway's machine was replaced: what it measured since it last said that nothing waits, and until
-- then, may never have left it.
CREATE TABLE unknown_gap (
    tenant_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    replaced_at_us BIGINT NOT NULL,
    since_us BIGINT NOT NULL,
    -- Documents that waited in the machine when it last spoke.
    waiting BIGINT NOT NULL,
    -- Of the machine's spool. If the gateway goes on in it, it was the same machine, and nothing is lost.
    epoch TEXT NOT NULL,
    PRIMARY KEY (tenant_id, gateway_id, replaced_at_us)
);
