-- What gateways said before they destroyed everything they held, signed with their keys.
CREATE TABLE gateway_wipe (
    tenant_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    certificate_serial TEXT NOT NULL,
    wiped_at_us BIGINT NOT NULL,
    received_at_us BIGINT NOT NULL,
    wiped_by TEXT NOT NULL,
    -- What the cloud did not have, as JSON; NULL where the gateway could not tell.
    lost TEXT,
    -- The record with its signature and certificate, as JSON: what clinic IT downloads.
    signed TEXT NOT NULL,
    PRIMARY KEY (tenant_id, gateway_id, certificate_serial, wiped_at_us)
);
