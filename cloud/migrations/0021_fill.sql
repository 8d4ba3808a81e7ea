-- Everything that was there before step 20 is to be counted; jobs do it, a day at a time.
INSERT INTO report_stale (tenant_id, location_id, hour_us, mark_id)
    SELECT DISTINCT tenant_id, location_id, captured_at_us - captured_at_us % 3600000000, 'before'
    FROM reading;
INSERT INTO instrument (tenant_id, gateway_id, link_id, vendor, model)
    SELECT DISTINCT tenant_id, gateway_id, link_id, vendor, model FROM reading
    WHERE is_manual = FALSE;
