-- JSON of `chiasm_proto::listening::Ports`, as the gateway told it last.
ALTER TABLE gateway ADD COLUMN ports TEXT;
-- What was listened to last at a gateway (I2). No values: they are masked on the gateway.
CREATE TABLE gateway_listening (
    tenant_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    listening_id TEXT NOT NULL,
    -- The link, or the port where driver and line settings are searched.
    target TEXT NOT NULL,
    is_search BOOLEAN NOT NULL,
    asked_by TEXT NOT NULL,
    asked_at_us BIGINT NOT NULL,
    is_sent BOOLEAN NOT NULL DEFAULT FALSE,
    -- JSON of `chiasm_proto::listening::Heard`, once there is some.
    heard TEXT,
    PRIMARY KEY (tenant_id, gateway_id)
);
