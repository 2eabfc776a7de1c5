select
  _row,
  id,
  status as status_raw,
  gifter['customer_id'] as giver_customer_id,
  gifter['invoice_id'] as invoice_id,
  gift_receiver['customer_id'] as receiver_customer_id,
  gift_receiver['subscription_id'] as subscription_id,
  gift_receiver['email'] as receiver_email,
  scheduled_at,
  auto_claim,
  claim_expiry_date as claim_expires_at,
  list_json(gift_timelines) as timeline,
  updated_at
from gifts
