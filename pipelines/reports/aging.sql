with buckets as (
  select currency, bucket, as_of, count(*) as invoices, cast(sum(balance) as decimal(28, 8)) as balance
  from ({aging}) a
  where {owner}
  group by currency, bucket, as_of
)
select currency, bucket, invoices, balance, as_of
from buckets
order by currency, case bucket when 'current' then 0 when '1-30' then 1 when '31-60' then 2 when '61-90' then 3
  when '91-120' then 4 when 'over 120' then 5 else 6 end
