-- REPLACE removes rows without asking the trigger on DELETE, so a number that exists is refused too.
CREATE TRIGGER audit_entry_insert BEFORE INSERT ON audit_entry
WHEN NEW.seq IS NULL OR EXISTS (SELECT 1 FROM audit_entry a WHERE a.tenant_id = NEW.tenant_id
    AND (a.seq = NEW.seq OR a.audit_entry_id = NEW.audit_entry_id))
BEGIN
    SELECT RAISE(ABORT, 'the audit is a chain: an entry has the next number');
END;
CREATE TRIGGER audit_entry_update BEFORE UPDATE ON audit_entry
BEGIN
    SELECT RAISE(ABORT, 'the audit is never changed');
END;
CREATE TRIGGER audit_entry_delete BEFORE DELETE ON audit_entry
BEGIN
    SELECT RAISE(ABORT, 'the audit is never changed');
END;
CREATE TRIGGER audit_head_update BEFORE UPDATE ON audit_head WHEN NEW.last_seq < OLD.last_seq
BEGIN
    SELECT RAISE(ABORT, 'the audit only grows');
END;
CREATE TRIGGER audit_head_delete BEFORE DELETE ON audit_head
BEGIN
    SELECT RAISE(ABORT, 'the audit only grows');
END;
