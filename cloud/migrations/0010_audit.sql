-- The audit becomes a chain: each entry carries the hash of the one before it and of its own
-- content (store/audit.rs), so that nothing can be changed, left out or put in between unnoticed.
-- Entries from before this step have no number and stand outside the chain.
ALTER TABLE audit_entry ADD COLUMN seq BIGINT;
ALTER TABLE audit_entry ADD COLUMN sha256 TEXT NOT NULL DEFAULT '';
-- The role that the person had then, and the address that the request came from.
ALTER TABLE audit_entry ADD COLUMN role TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_entry ADD COLUMN address TEXT NOT NULL DEFAULT '';
-- Whether somebody only looked.
ALTER TABLE audit_entry ADD COLUMN is_look BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE audit_entry ADD COLUMN patient_id TEXT;
ALTER TABLE audit_entry ADD COLUMN encounter_id TEXT;
ALTER TABLE audit_entry ADD COLUMN reading_id TEXT;
-- What kinds of values it was about, such as `keratometry refraction`.
ALTER TABLE audit_entry ADD COLUMN kinds TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_entry ADD COLUMN value_before TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_entry ADD COLUMN value_after TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_entry ADD COLUMN why TEXT NOT NULL DEFAULT '';
UPDATE audit_entry SET is_look = TRUE
    WHERE action LIKE '%_seen' OR action IN ('patients_searched', 'prescription_printed');
UPDATE audit_entry SET is_look = FALSE WHERE action = 'notice_seen';

CREATE UNIQUE INDEX audit_entry_seq ON audit_entry (tenant_id, seq);
CREATE INDEX audit_entry_patient ON audit_entry (tenant_id, patient_id, at_us, audit_entry_id);
CREATE INDEX audit_entry_account ON audit_entry (tenant_id, account_id, at_us, audit_entry_id);
-- Whether it is the same look again, and who has looked at an exam.
CREATE INDEX audit_entry_subject ON audit_entry (tenant_id, subject, at_us);
DROP INDEX audit_entry_time;
CREATE INDEX audit_entry_time ON audit_entry (tenant_id, at_us, audit_entry_id);

-- The end of each practice's chain. Whoever writes the next entry locks it until the commit.
CREATE TABLE audit_head (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    last_seq BIGINT NOT NULL,
    last_sha256 TEXT NOT NULL
);

-- A password that somebody else made is good for one sign-in, at which it is replaced.
ALTER TABLE account ADD COLUMN must_change_password BOOLEAN NOT NULL DEFAULT FALSE;
-- How an identity provider names the person, as clinic IT prepared it; linked at the first sign-in.
ALTER TABLE account ADD COLUMN provider_claim TEXT;
ALTER TABLE account ADD COLUMN provider_issuer TEXT;
ALTER TABLE account ADD COLUMN provider_subject TEXT;
CREATE UNIQUE INDEX account_provider_claim ON account (tenant_id, provider_claim);
CREATE UNIQUE INDEX account_provider ON account (tenant_id, provider_issuer, provider_subject);

-- Where a person is signed in, as they recognise it.
ALTER TABLE sign_in ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE sign_in ADD COLUMN browser TEXT NOT NULL DEFAULT '';
CREATE INDEX sign_in_account ON sign_in (tenant_id, account_id);

-- A sign-in that went to the identity provider and has not come back.
CREATE TABLE provider_sign_in (
    tenant_id TEXT NOT NULL,
    state_sha256 TEXT NOT NULL,
    browser_sha256 TEXT NOT NULL,
    nonce TEXT NOT NULL,
    pkce_verifier TEXT NOT NULL,
    then_path TEXT NOT NULL,
    expires_at_us BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, state_sha256)
);
