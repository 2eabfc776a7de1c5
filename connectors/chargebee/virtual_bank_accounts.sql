select
  _row,
  id,
  customer_id,
  email,
  scheme,
  bank_name,
  account_number,
  routing_number,
  swift_code,
  gateway,
  gateway_account_id,
  reference_id as gateway_ref,
  created_at,
  updated_at
from virtual_bank_accounts
