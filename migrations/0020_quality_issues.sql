-- One store of everything that is known to be wrong: values that became NULL, and what a proof found.
alter table tidegate.quality_issues
    add column severity text not null default 'soft',
    add column currency text collate "C",
    add column expected text,
    add column actual text,
    add column delta numeric(28, 8),
    add column first_seen timestamp,
    add column resolved_at timestamp;
create index quality_issues_open on tidegate.quality_issues (tenant_id, connection_id, entity, id)
    where resolved_at is null;

comment on table tidegate.quality_issues is
    'What does not hold: values that did not fit their column and became NULL, and violated rules that a proof found';
comment on column tidegate.quality_issues.column_name is 'The column that became NULL; empty for a violated rule';
comment on column tidegate.quality_issues.resolved_at is 'When it was found to hold again; NULL while it does not';

create view billing.quality_issues as
    select tenant_id, connection_id, rule, severity, entity, id, column_name, currency, expected, actual, delta, message,
        first_seen, resolved_at
    from tidegate.quality_issues;
comment on view billing.quality_issues is 'What does not hold, and what did not: see tidegate prove';
