SELECT c.tenant, count(*), sum(octet_length(e.payload) + coalesce(octet_length(e.metadata), 0)), sum(e.version = 1)
FROM event_log AS e
INNER JOIN streams AS s ON s.id = e.stream
INNER JOIN categories AS c ON c.id = s.category
WHERE e.position BETWEEN ?1 AND ?2 AND (?3 IS NULL OR c.tenant = ?3)
GROUP BY c.tenant
