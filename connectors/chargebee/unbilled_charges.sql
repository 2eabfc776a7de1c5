select
  _row,
  id,
  customer_id,
  subscription_id,
  description,
  case when entity_type in ('plan', 'plan_setup', 'addon') then entity_id end as item_id,
  case
    when entity_type in ('plan_item_price', 'addon_item_price', 'charge_item_price') then entity_id
  end as price_id,
  case
    when entity_type = 'plan_setup' then 'setup'
    when entity_type in ('plan_item_price', 'addon_item_price', 'plan', 'addon')
      then case when date_to > date_from then 'recurring' else 'one_off' end
    when entity_type in ('charge_item_price', 'adhoc') then 'one_off'
    else entity_type
  end as line_kind,
  local_date(date_from, _zone) as period_start,
  local_date(date_to, _zone) as period_end,
  coalesce(quantity(quantity_in_decimal), quantity(quantity)) as quantity,
  coalesce(quantity(unit_amount_in_decimal), quantity(minor(unit_amount, currency_code))) as unit_amount,
  coalesce(minor(amount, currency_code), money(amount_in_decimal)) as amount,
  minor(discount_amount, currency_code) as discount_amount,
  currency_code as currency,
  is_voided as is_void,
  voided_at,
  is_advance_charge as is_advance,
  created_at,
  updated_at
from unbilled_charges
