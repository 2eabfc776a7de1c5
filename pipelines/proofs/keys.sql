-- K1: an id stands once. Asked of every table.
select tenant_id, connection_id, 'K1' as rule, 'hard' as severity, '{entity}' as entity, id,
  cast(null as varchar) as currency, 1 as expected, count(*) as actual, count(*) - 1 as delta, '' as message
from {entity}
group by tenant_id, connection_id, id
having count(*) > 1
