-- What a provider told of erasures. `person` is a key, no personal data.
create table tidegate.erasures (
    tenant_id text collate "C" not null,
    connection_id text collate "C" not null,
    stream text collate "C" not null,
    person text collate "C" not null,
    told_at timestamp not null,
    commit_no bigint not null,
    done_at timestamp,
    rows bigint not null default 0,
    bodies bigint not null default 0,
    rejects bigint not null default 0,
    issues bigint not null default 0,
    primary key (tenant_id, connection_id, stream, person)
);
comment on table tidegate.erasures is
    'Persons whose data the provider cleared: what was read of them before told_at is erased when done_at is set';
