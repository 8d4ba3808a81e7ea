INSERT INTO parse_failure (tenant_id, document_id, gateway_id, link_id, driver_id, driver_version,
        code, first_byte, captured_at_us)
    SELECT tenant_id, document_id, gateway_id, COALESCE(json_extract(body, '$.data.link'), ''),
        COALESCE(json_extract(body, '$.data.driver.id'), ''),
        COALESCE(json_extract(body, '$.data.driver.version'), ''),
        COALESCE(json_extract(body, '$.data.code'), ''),
        COALESCE(json_extract(body, '$.data.offset'), -1), captured_at_us
    FROM document WHERE kind = 'capture' AND json_valid(body);
