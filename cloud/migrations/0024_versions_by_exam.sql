-- The earlier states of an exam's readings, and of those that left it.
CREATE INDEX reading_version_encounter ON reading_version (tenant_id, encounter_id);
