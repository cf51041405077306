-- What this transaction has written to the store's tables, and what they and its functions are made
-- of: another text once a statement has changed any of it, by whatever trigger, rule or function.
WITH own AS (
    SELECT ARRAY[
        '{events}', '{documents}', '{log}', '{streams}', '{kinds}', '{kind_spans}', '{runs}', '{tags}',
        '{records}', '{record_index}', '{store}', '{format}', '{position}', '{clock}'
    ]::regclass[]::oid[] AS relations
)
SELECT concat_ws(
    ' ',
    pg_current_xact_id_if_assigned(),
    (
        SELECT sum(
            pg_stat_get_xact_tuples_inserted(r.oid) + pg_stat_get_xact_tuples_updated(r.oid)
            + pg_stat_get_xact_tuples_deleted(r.oid)
        )
        FROM unnest(own.relations) AS r (oid)
    ),
    (SELECT string_agg(c.xmin::text, ',' ORDER BY c.oid) FROM pg_class AS c WHERE c.oid = ANY (own.relations)),
    (
        SELECT md5(string_agg(concat_ws(' ', a.attrelid, a.attnum, a.xmin), ',' ORDER BY a.attrelid, a.attnum))
        FROM pg_attribute AS a WHERE a.attrelid = ANY (own.relations)
    ),
    (
        SELECT md5(string_agg(concat_ws(' ', i.indexrelid, i.xmin), ',' ORDER BY i.indexrelid))
        FROM pg_index AS i WHERE i.indrelid = ANY (own.relations)
    ),
    (
        SELECT md5(string_agg(concat_ws(' ', t.oid, t.xmin), ',' ORDER BY t.oid))
        FROM pg_trigger AS t WHERE t.tgrelid = ANY (own.relations)
    ),
    (
        SELECT md5(string_agg(concat_ws(' ', w.oid, w.xmin), ',' ORDER BY w.oid))
        FROM pg_rewrite AS w WHERE w.ev_class = ANY (own.relations)
    ),
    (
        SELECT md5(string_agg(concat_ws(' ', k.oid, k.xmin), ',' ORDER BY k.oid))
        FROM pg_constraint AS k WHERE k.conrelid = ANY (own.relations)
    ),
    (
        SELECT string_agg(p.xmin::text, ',' ORDER BY p.oid) FROM pg_proc AS p
        WHERE p.oid = ANY (ARRAY[
            '{append}', '{draw}', '{enter}', '{horizon}', '{keep}', '{look}', '{may}', '{moment}', '{pass}',
            '{readable}', '{refuse}', '{same}', '{stamp}', '{tail}', '{version_at}'
        ]::regproc[]::oid[])
    )
)
FROM own
