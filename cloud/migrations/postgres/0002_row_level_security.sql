-- Row-level security stands behind the tenant in every query: a transaction sees the tenant that
-- it has set, and all of them only where it says '*' (sign-in by login, claims, ingest of what the
-- broker has authenticated).
DO $$
DECLARE name TEXT;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables
        WHERE schemaname = current_schema() AND tablename <> '_sqlx_migrations'
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant_only ON %I USING ('
            'current_setting(''chiasm.tenant'', true) IN (tenant_id, ''*''))', name);
    END LOOP;
END $$;
