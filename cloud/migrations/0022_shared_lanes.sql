-- An instrument that several lanes share is linked to a lane of its own, in which no session is
-- opened: whose each print is, a person says in one of the lanes listed here (T9).
CREATE TABLE shared_lane (
    tenant_id TEXT NOT NULL,
    shared_lane_id TEXT NOT NULL,
    lane_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, shared_lane_id, lane_id)
);
CREATE INDEX shared_lane_of ON shared_lane (tenant_id, lane_id);
