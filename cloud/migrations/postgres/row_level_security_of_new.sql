-- The same policy as in step 2, for tables that came after it.
DO $$
DECLARE name TEXT;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables t
        WHERE schemaname = current_schema() AND tablename <> '_sqlx_migrations'
            AND NOT EXISTS (SELECT 1 FROM pg_policies p
                WHERE p.schemaname = t.schemaname AND p.tablename = t.tablename)
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant_only ON %I USING ('
            'current_setting(''chiasm.tenant'', true) IN (tenant_id, ''*''))', name);
    END LOOP;
END $$;
