-- What people did at gateways' own pages: filed like readings, then carried out in order.
-- state: waiting, done, refused.
CREATE TABLE lane_act (
    tenant_id TEXT NOT NULL,
    document_id TEXT NOT NULL,
    gateway_id TEXT NOT NULL,
    epoch TEXT NOT NULL,
    seq BIGINT NOT NULL,
    location_id TEXT NOT NULL,
    lane_id TEXT NOT NULL,
    -- The session that it opens or ends, where it is about one.
    lane_session_id TEXT,
    received_at_us BIGINT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting',
    -- Why it was refused, in words.
    outcome TEXT NOT NULL DEFAULT '',
    settled_at_us BIGINT,
    PRIMARY KEY (tenant_id, document_id)
);
CREATE INDEX lane_act_waiting ON lane_act (tenant_id, gateway_id, epoch, seq)
    WHERE state = 'waiting';
CREATE INDEX lane_act_session ON lane_act (tenant_id, lane_session_id)
    WHERE lane_session_id IS NOT NULL;
CREATE INDEX lane_act_lane ON lane_act (tenant_id, gateway_id, lane_id, epoch, seq)
    WHERE lane_session_id IS NOT NULL;

-- The gateway at whose page the session was opened. Such a session may lie beside one of the cloud.
ALTER TABLE lane_session ADD COLUMN gateway_id TEXT;
CREATE INDEX lane_session_of_gateway ON lane_session (tenant_id, lane_id, opened_at_us)
    WHERE gateway_id IS NOT NULL;
CREATE INDEX reading_of_session ON reading (tenant_id, lane_session_id)
    WHERE place IN ('tray', 'inbox', 'held') AND lane_session_id IS NOT NULL;
