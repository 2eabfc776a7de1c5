-- H1: the current row is the newest one of history. Asked of every table.
with numbered as (
  select h.*, row_number() over (partition by h.tenant_id, h.connection_id, h.id
    order by h.commit_no desc, h.version desc, h.observed_at desc, h.row_hash desc, h.op desc) as nth
  from {history} h
),
newest as (
  select * from numbered where nth = 1 and op <> 'remove'
),
differing as (
  select coalesce(c.tenant_id, h.tenant_id) as tenant_id, coalesce(c.connection_id, h.connection_id) as connection_id,
    coalesce(c.id, h.id) as id,
    case when c.id is null then 'not in the table' when h.id is null then 'not in the history'
      else 'columns differ' end as message
  from {entity} c
  full outer join newest h on h.tenant_id = c.tenant_id and h.connection_id = c.connection_id and h.id = c.id
  where c.id is null or h.id is null or {differs}
)
select tenant_id, connection_id, 'H1' as rule, 'hard' as severity, '{entity}' as entity, id,
  cast(null as varchar) as currency, cast(null as varchar) as expected, cast(null as varchar) as actual,
  cast(null as decimal(28, 8)) as delta, message
from differing
