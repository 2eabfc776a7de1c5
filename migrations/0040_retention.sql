-- How far bodies of superseded states were let go of.
alter table tidegate.connections add column retained_before timestamp;
alter table tidegate.streams add column bodies_from timestamp;
comment on column tidegate.connections.retained_before is
    'Bodies of superseded states that were read before this (UTC) were let go of last';
comment on column tidegate.streams.bodies_from is
    'Every body that was read at or after this (UTC) is in raw.records; NULL: none was ever let go of';
