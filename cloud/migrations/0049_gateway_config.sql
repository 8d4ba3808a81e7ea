-- What a gateway reads, in versions: its links and imagers. Version 0 is what stands in the gateway's
-- own file.
CREATE TABLE gateway_config (
    tenant_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    -- JSON of `chiasm_proto::config::Document`, and the hash of its bytes.
    document TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    made_at_us BIGINT NOT NULL,
    -- The account, or `gateway` for what a gateway told of itself.
    made_by TEXT NOT NULL,
    why TEXT NOT NULL,
    -- waiting, sent, applied, confirmed, refused, reverted; why, and since when.
    state TEXT NOT NULL,
    state_detail TEXT NOT NULL,
    state_at_us BIGINT NOT NULL,
    -- The gateway has said last that it uses this one.
    is_in_use BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (tenant_id, gateway_id, version)
);
CREATE INDEX gateway_config_waiting ON gateway_config (tenant_id, gateway_id) WHERE state = 'waiting';
