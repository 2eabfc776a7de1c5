select month_start as month, currency, count(*) as customers, cast(sum(mrr) as decimal(28, 8)) as mrr,
  cast(12 * sum(mrr) as decimal(28, 8)) as arr
from mrr_monthly
where {owner} and month_start > as_of - {days}
group by month_start, currency
order by currency, month
