-- A reason set by the system makes a cancellation involuntary; a reason code is the merchant's own.
select
  _row,
  id,
  customer_id,
  case status when 'in_trial' then 'trialing' when 'transferred' then 'cancelled' else status end as status,
  status as status_raw,
  currency_code as currency,
  billing_period_unit as interval_unit,
  billing_period as interval_count,
  coalesce(started_at, start_date) as started_at,
  activated_at,
  created_at,
  trial_start,
  trial_end,
  current_term_start,
  current_term_end,
  next_billing_at,
  case when status = 'non_renewing' then current_term_end end as cancel_at,
  cancelled_at,
  cancelled_at as ended_at,
  coalesce(cancel_reason, cancel_reason_code) as cancel_reason,
  case
    when cancelled_at is null then null
    when cancel_reason is not null then 'involuntary'
    else 'voluntary'
  end as cancel_kind,
  pause_date as pause_at,
  resume_date as resume_at,
  remaining_billing_cycles as remaining_cycles,
  local_date(contract_term['contract_start'], _zone) as contract_start,
  local_date(contract_term['contract_end'], _zone) as contract_end,
  minor(contract_term['total_contract_value'], currency_code) as contract_value,
  auto_collection,
  net_term_days as net_terms_days,
  minor(total_dues, currency_code) as balance_due,
  due_since,
  minor(mrr, currency_code) as provider_mrr,
  list_json(list_field(coupons, 'coupon_id')) as coupon_codes,
  channel as created_from,
  meta_data as metadata,
  custom_fields,
  updated_at
from subscriptions
