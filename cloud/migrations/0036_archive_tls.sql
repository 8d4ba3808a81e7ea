-- TLS to an archive. Names of files, absolute; empty where there is none. Without an authority the
-- association is not encrypted.
ALTER TABLE archive_destination ADD COLUMN tls_authority TEXT NOT NULL DEFAULT '';
ALTER TABLE archive_destination ADD COLUMN tls_certificate TEXT NOT NULL DEFAULT '';
ALTER TABLE archive_destination ADD COLUMN tls_key TEXT NOT NULL DEFAULT '';
-- The name in the archive's certificate; empty where it is the host.
ALTER TABLE archive_destination ADD COLUMN tls_name TEXT NOT NULL DEFAULT '';
