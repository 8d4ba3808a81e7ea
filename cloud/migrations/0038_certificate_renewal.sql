-- A gateway's certificate that was issued and not used yet: both are let in until the gateway has said
-- that the new one works.
ALTER TABLE gateway ADD COLUMN next_certificate_serial TEXT;
ALTER TABLE gateway ADD COLUMN next_certificate_expires_at_us BIGINT;
ALTER TABLE gateway ADD COLUMN next_certificate_at_us BIGINT;
