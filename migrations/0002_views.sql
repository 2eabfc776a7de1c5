create table tidegate.views (
    name text collate "C" not null primary key,
    script_hash bigint not null,
    made_at timestamptz not null default now()
);
comment on table tidegate.views is 'Derived views of schema billing that tidegate made, and a hash of the script that made them';
