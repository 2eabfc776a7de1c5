-- Schemas and the tables that no entity file describes. Unified tables (billing, history) are made by tidegate itself
-- from connectors/unified/. Every table has tenant_id in its key. Forward only: never edit an applied file.
create schema if not exists billing;
create schema if not exists history;
create schema if not exists raw;
create schema if not exists tidegate;

comment on schema billing is 'Current unified rows, one per (tenant_id, connection_id, id)';
comment on schema history is 'Every change of a unified row; commit_no grows per connection';
comment on schema raw is 'Records as the provider sent them';
comment on schema tidegate is 'State of tidegate: read it, do not write it';

create table tidegate.connections (
    tenant_id text collate "C" not null,
    connection_id text collate "C" not null,
    epoch bigint not null,
    commit_no bigint not null,
    opened_at timestamptz not null default now(),
    committed_at timestamptz,
    primary key (tenant_id, connection_id)
);
comment on table tidegate.connections is 'One row per connection: the fence (epoch) and the number of the last commit';

create table tidegate.streams (
    tenant_id text collate "C" not null,
    connection_id text collate "C" not null,
    stream text collate "C" not null,
    entity text collate "C" not null,
    children text[] not null,
    primary key (tenant_id, connection_id, stream)
);
comment on table tidegate.streams is 'Which unified tables a stream feeds';

create table tidegate.checkpoints (
    tenant_id text collate "C" not null,
    connection_id text collate "C" not null,
    stream text collate "C" not null,
    checkpoint jsonb not null,
    commit_no bigint not null,
    primary key (tenant_id, connection_id, stream)
);
comment on table tidegate.checkpoints is 'How far it is safe to say that a stream has been read';

create table raw.records (
    tenant_id text collate "C" not null,
    connection_id text collate "C" not null,
    stream text collate "C" not null,
    key text collate "C" not null,
    version bigint not null,
    read_at timestamp not null,
    body_hash bigint,
    deleted boolean not null,
    body json,
    commit_no bigint not null,
    primary key (tenant_id, connection_id, stream, commit_no, key, deleted)
);
comment on table raw.records is 'Every version of every record, as received; deleted: found missing by a complete scan';
comment on column raw.records.body_hash is 'Lower 64 bits of xxh3-128 of the body';

do $$
begin
    execute 'alter table raw.records alter column body set compression lz4';
exception when feature_not_supported or syntax_error or invalid_parameter_value then
    null; -- a server without lz4 compresses with pglz
end
$$;

create table tidegate.rejects (
    tenant_id text collate "C" not null,
    connection_id text collate "C" not null,
    commit_no bigint not null,
    ordinal bigint not null,
    stream text collate "C" not null,
    key text collate "C",
    rule text not null,
    pointer text not null,
    message text not null,
    asked_at timestamp not null,
    body bytea not null,
    resolved_at timestamptz,
    resolved_by bigint,
    primary key (tenant_id, connection_id, commit_no, ordinal)
);
comment on table tidegate.rejects is 'Quarantined records with their bytes and the reason; resolved_by: the commit that redrove them';

create table tidegate.quality_issues (
    tenant_id text collate "C" not null,
    connection_id text collate "C" not null,
    commit_no bigint not null,
    ordinal bigint not null,
    stream text collate "C" not null,
    entity text collate "C" not null,
    id text collate "C" not null,
    rule text not null,
    column_name text not null,
    message text not null,
    primary key (tenant_id, connection_id, commit_no, ordinal)
);
comment on table tidegate.quality_issues is 'Values that did not fit their column and became NULL';

create table tidegate.runs (
    tenant_id text collate "C" not null,
    connection_id text collate "C" not null,
    run_no bigint generated always as identity,
    recorded_at timestamptz not null default now(),
    summary json not null,
    primary key (tenant_id, connection_id, run_no)
);
comment on table tidegate.runs is 'What each run did, as JSON';
