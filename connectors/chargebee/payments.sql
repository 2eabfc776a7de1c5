-- Amounts are positive; the kind says in which direction money moved. A reversal takes a payment back, so it shows as
-- failed.
select
  _row,
  id,
  customer_id,
  subscription_id,
  case type when 'payment_reversal' then 'reversal' else type end as kind,
  case
    when status in ('in_progress', 'needs_attention') then 'pending'
    when status in ('failure', 'timeout', 'late_failure') then 'failed'
    when status = 'voided' then 'cancelled'
    when status = 'success' and type = 'payment' then 'paid'
    when status = 'success' and type = 'refund' then 'refunded'
    when status = 'success' and type = 'authorization' then 'authorized'
    when status = 'success' and type = 'payment_reversal' then 'failed'
    else status
  end as status,
  status as status_raw,
  minor(amount, currency_code) as amount,
  minor(amount_unused, currency_code) as unapplied_amount,
  minor(coalesce(list_sum(linked_refunds, 'txn_amount', 'txn_status', 'success'), 0), currency_code) as refund_amount,
  payment_method as method,
  masked_card_number as method_detail,
  gateway,
  coalesce(id_at_gateway, reference_number) as gateway_ref,
  error_code as failure_code,
  error_text as failure_text,
  currency_code as currency,
  exchange_rate,
  local_date(date, _zone) as paid_date,
  settled_at,
  case when list_len(linked_invoices) = 1 then linked_invoices[1]['invoice_id'] end as invoice_id,
  case when type = 'refund' then coalesce(reference_transaction_id, refunded_txn_id) end as refund_of,
  case
    when type = 'payment_reversal' then coalesce(reference_transaction_id, reversal_transaction_id)
  end as reversal_of,
  initiator_type as initiator,
  date as created_at,
  updated_at
from transactions
