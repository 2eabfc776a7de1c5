-- The result of a page holds whole records, which arrive by their own streams: only their ids are taken.
select
  _row,
  id,
  type as kind,
  state as status_raw,
  url,
  json_text(content, '/customer/id') as customer_id,
  json_text(content, '/subscription/id') as subscription_id,
  json_text(content, '/invoice/id') as invoice_id,
  pass_thru_content as pass_through,
  expires_at,
  business_entity_id,
  created_at,
  updated_at
from hosted_pages
