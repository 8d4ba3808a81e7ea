-- The latest captures of a practice: what its instruments sent and nobody could read.
CREATE INDEX document_capture ON document (tenant_id, captured_at_us) WHERE kind = 'capture';
