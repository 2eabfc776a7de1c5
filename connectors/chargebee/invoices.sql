-- `paid` also covers write-offs and credits: money is in the amounts, not in the status. Whether an invoice was
-- refunded, and how it is collected, is told by other streams: see v_invoices.
select
  _row,
  id,
  id as number,
  customer_id,
  subscription_id,
  recurring as is_recurring,
  case status
    when 'pending' then 'draft'
    when 'posted' then 'pending'
    when 'payment_due' then 'pending'
    when 'not_paid' then 'failed'
    when 'voided' then 'cancelled'
    else status
  end as status,
  status as status_raw,
  'invoice' as doc_class,
  status = 'voided' as is_void,
  status = 'pending' as is_draft,
  local_date(date, _zone) as issue_date,
  local_date(due_date, _zone) as due_date,
  date as issued_at,
  generated_at,
  local_date(paid_at, _zone) as paid_on_date,
  voided_at,
  local_date(list_min(line_items, 'date_from'), _zone) as period_start,
  local_date(list_max(line_items, 'date_to'), _zone) as period_end,
  currency_code as currency,
  exchange_rate,
  price_type,
  minor(sub_total, currency_code) as sub_total,
  minor(coalesce(list_sum(discounts, 'amount'), 0), currency_code) as total_discount,
  minor(tax, currency_code) as total_tax_amount,
  minor(round_off_amount, currency_code) as round_off,
  minor(total, currency_code) as total,
  minor(amount_paid, currency_code) as amount_paid,
  minor(credits_applied, currency_code) as credits_applied,
  minor(amount_adjusted, currency_code) as adjusted_amount,
  minor(write_off_amount, currency_code) as written_off_amount,
  minor(coalesce(list_sum(linked_taxes_withheld, 'amount'), 0), currency_code) as tax_withheld,
  minor(amount_due, currency_code) as balance,
  net_term_days as net_terms_days,
  dunning_status,
  next_retry_at,
  coalesce(list_len(dunning_attempts), 0) as attempts,
  po_number,
  nullif(array_to_string(list_field(notes, 'note'), chr(10)), '') as memo,
  first_invoice,
  custom_fields,
  coalesce(generated_at, date) as created_at,
  updated_at
from invoices
