-- json, not jsonb: that would refuse a document for a NUL in a text that is not asked for.
INSERT INTO parse_failure (tenant_id, document_id, gateway_id, link_id, driver_id, driver_version,
        code, first_byte, captured_at_us)
    SELECT tenant_id, document_id, gateway_id, COALESCE(body::json -> 'data' ->> 'link', ''),
        COALESCE(body::json -> 'data' -> 'driver' ->> 'id', ''),
        COALESCE(body::json -> 'data' -> 'driver' ->> 'version', ''),
        COALESCE(body::json -> 'data' ->> 'code', ''),
        COALESCE(CAST(body::json -> 'data' ->> 'offset' AS BIGINT), -1), captured_at_us
    FROM document WHERE kind = 'capture';
