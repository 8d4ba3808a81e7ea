-- Visits of one patient by time, a page at a time.
CREATE INDEX encounter_history ON encounter (tenant_id, patient_id, scheduled_at_us, encounter_id);
-- Finding people by their birth date.
CREATE INDEX patient_birth_date ON patient (tenant_id, birth_date);
