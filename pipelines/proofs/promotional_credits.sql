-- C4: a customer's promotional credit is what was given less what was used, as long as every movement is known.
with sums as (
  select tenant_id, connection_id, customer_id, currency, sum(amount) as balance, count(*) - count(amount) as unknown
  from promotional_credits
  where deleted_at is null
  group by tenant_id, connection_id, customer_id, currency
),
known as (
  select distinct tenant_id, connection_id from promotional_credits
)
select c.tenant_id, c.connection_id, 'C4' as rule, 'hard' as severity, 'customers' as entity, c.id, c.currency,
  coalesce(s.balance, 0) as expected, coalesce(c.credit_promotional, 0) as actual,
  coalesce(c.credit_promotional, 0) - coalesce(s.balance, 0) as delta, '' as message
from customers c
join known k on k.tenant_id = c.tenant_id and k.connection_id = c.connection_id
left join sums s
  on s.tenant_id = c.tenant_id and s.connection_id = c.connection_id and s.customer_id = c.id
  and s.currency = c.currency
where c.deleted_at is null and c.currency is not null and coalesce(s.unknown, 0) = 0
  and coalesce(c.credit_promotional, 0) <> coalesce(s.balance, 0)
