-- Gives a tenant to a role that is there, and to the role what a store of that tenant needs, and no more.
INSERT INTO {roles} (role, tenant) VALUES ({role_text}, {tenant_text})
ON CONFLICT (role) DO UPDATE SET tenant = excluded.tenant;
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT ON
    {events}, {documents}, {format}, {store}, {kinds}, {log}, {streams}, {runs}, {kind_spans}, {tags}, {records}, {record_index}
TO {role};
GRANT INSERT, UPDATE, DELETE ON {records}, {record_index} TO {role};
GRANT INSERT (event_type, event_version, codec) ON {kinds} TO {role};
GRANT EXECUTE ON FUNCTION
    {append_as}, {look_as}, {may_as}, {loose_as}, {runs_as}, {horizon_as}, {last_as}, {tail_as}, {whose}, {own}, {ids}, {narrow},
    {keep}, {keep_texts}, {moment}, {readable}, {same}, {stamp}, {user}, {version_at}
TO {role};
