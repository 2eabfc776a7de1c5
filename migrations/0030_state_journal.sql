create table tidegate.state_journal (
    tenant_id text collate "C" not null,
    connection_id text collate "C" not null,
    entry_no bigint not null,
    changed_at timestamp not null,
    verb text not null,
    undoes bigint,
    made_with text,
    streams jsonb not null,
    primary key (tenant_id, connection_id, entry_no)
);
comment on table tidegate.state_journal is 'What operators did to checkpoints, with what was there before: see tidegate state journal';
comment on column tidegate.state_journal.made_with is 'What rows were made with, when the change left no checkpoint';
