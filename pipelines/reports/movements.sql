select month_start as month, currency, cast(sum(opening) as decimal(28, 8)) as opening,
  cast(sum(new_mrr) as decimal(28, 8)) as new, cast(sum(reactivation) as decimal(28, 8)) as reactivation,
  cast(sum(expansion) as decimal(28, 8)) as expansion, cast(sum(contraction) as decimal(28, 8)) as contraction,
  cast(sum(churn) as decimal(28, 8)) as churn, cast(sum(closing) as decimal(28, 8)) as closing
from mrr_movements
where {owner} and month_start > as_of - {days}
group by month_start, currency
order by currency, month
