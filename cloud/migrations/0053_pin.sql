-- By which a person signs in at a gateway's own page while the internet is down (T12); argon2id.
ALTER TABLE account ADD COLUMN pin_hash TEXT;
