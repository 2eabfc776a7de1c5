create table tidegate.seen (
    tenant_id text collate "C" not null,
    connection_id text collate "C" not null,
    stream text collate "C" not null,
    commit_no bigint not null,
    keys bytea not null,
    primary key (tenant_id, connection_id, stream, commit_no)
);
comment on table tidegate.seen is 'Keys that an unfinished sweep saw, 16 bytes each; gone when it ends';
