-- Amounts come without a sign; the type has it.
select
  _row,
  id,
  customer_id,
  type as kind,
  case type
    when 'increment' then coalesce(money(amount_in_decimal), minor(amount, currency_code))
    when 'decrement'
      then sub(minor(0, currency_code), coalesce(money(amount_in_decimal), minor(amount, currency_code)))
  end as amount,
  minor(closing_balance, currency_code) as closing_balance,
  currency_code as currency,
  credit_type,
  description,
  reference,
  done_by,
  local_date(created_at, _zone) as date,
  created_at
from promotional_credits
