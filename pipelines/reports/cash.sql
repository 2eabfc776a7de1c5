select week_start as week, currency,
  cast(sum(case when component = 'open' then expected else 0 end) as decimal(28, 8)) as open_invoices,
  cast(sum(case when component = 'renewal' then expected else 0 end) as decimal(28, 8)) as renewals,
  cast(sum(expected) as decimal(28, 8)) as expected
from cash_forecast
where {owner}
group by week_start, currency
order by currency, week
