-- The content holds the resources as they were after the event; which ones, the type decides.
select
  _row,
  id,
  occurred_at,
  local_date(occurred_at, _zone) as occurred_date,
  event_type,
  source,
  "user" as user_name,
  origin_user as origin_user_name,
  api_version,
  coalesce(
    json_text(content, '/customer/id'),
    json_text(content, '/subscription/customer_id'),
    json_text(content, '/invoice/customer_id'),
    json_text(content, '/credit_note/customer_id'),
    json_text(content, '/transaction/customer_id'),
    json_text(content, '/order/customer_id'),
    json_text(content, '/quote/customer_id'),
    json_text(content, '/payment_source/customer_id'),
    json_text(content, '/virtual_bank_account/customer_id'),
    json_text(content, '/promotional_credit/customer_id'),
    json_text(content, '/gift/gifter/customer_id')
  ) as customer_id,
  coalesce(
    json_text(content, '/subscription/id'),
    json_text(content, '/invoice/subscription_id'),
    json_text(content, '/credit_note/subscription_id'),
    json_text(content, '/transaction/subscription_id')
  ) as subscription_id,
  json_text(content, '/invoice/id') as invoice_id,
  json_text(content, '/credit_note/id') as credit_note_id,
  json_text(content, '/transaction/id') as payment_id,
  coalesce(
    json_text(content, '/item/id'),
    json_text(content, '/item_price/item_id'),
    json_text(content, '/plan/id'),
    json_text(content, '/addon/id')
  ) as item_id,
  json_text(content, '/item_price/id') as price_id,
  json_text(content, '/coupon/id') as coupon_id,
  content
from events
