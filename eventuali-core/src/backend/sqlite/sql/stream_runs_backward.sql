SELECT position, position + count - 1 FROM stream_runs
WHERE
    stream = ?1
    AND first_version >= coalesce(
        (SELECT max(first_version) FROM stream_runs WHERE stream = ?1 AND first_version <= ?2 + 1), 0
    )
    AND first_version <= ?3
ORDER BY first_version DESC LIMIT ?4
