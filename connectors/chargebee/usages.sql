select
  _row,
  id,
  subscription_id,
  item_price_id as price_id,
  local_date(usage_date, _zone) as usage_date,
  usage_date as used_at,
  quantity(quantity) as quantity,
  invoice_id,
  line_item_id as invoice_line_id,
  source,
  note,
  created_at,
  updated_at
from usages
