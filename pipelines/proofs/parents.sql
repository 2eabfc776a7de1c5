-- S3: what a row names is there. Asked of every column that names a row of another table, unless that table is empty.
with named as (
  select tenant_id, connection_id, {column} as id, count(*) as actual
  from {entity}
  where {column} is not null
  group by tenant_id, connection_id, {column}
),
known as (
  select distinct tenant_id, connection_id from {parent}
)
select n.tenant_id, n.connection_id, 'S3' as rule, 'hard' as severity, '{parent}' as entity, n.id,
  cast(null as varchar) as currency, 0 as expected, n.actual, n.actual as delta, 'missing, named by {entity}' as message
from named n
join known k on k.tenant_id = n.tenant_id and k.connection_id = n.connection_id
left join {parent} p on p.tenant_id = n.tenant_id and p.connection_id = n.connection_id and p.id = n.id
where p.id is null
