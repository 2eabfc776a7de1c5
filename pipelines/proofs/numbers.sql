-- D11: a number stands on one document.
select tenant_id, connection_id, 'D11' as rule, 'hard' as severity, 'invoices' as entity, max(id) as id,
  cast(null as varchar) as currency, 1 as expected, count(distinct id) as actual, count(distinct id) - 1 as delta,
  concat('number ', number, ' also stands on ', min(id)) as message
from invoices
where deleted_at is null and not coalesce(is_void, false) and number is not null
group by tenant_id, connection_id, number
having count(distinct id) > 1
