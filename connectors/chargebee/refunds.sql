-- Refunds hang off credit notes, not off invoices.
select
  _row,
  concat(credit_note_id, ':refund:', r['n']) as id,
  r['e']['txn_id'] as payment_id,
  credit_note_id,
  invoice_id,
  minor(r['e']['applied_amount'], currency) as amount,
  r['e']['applied_at'] as refunded_at,
  case
    when r['e']['txn_status'] = 'success' then 'refunded'
    when r['e']['txn_status'] in ('in_progress', 'needs_attention') then 'pending'
    when r['e']['txn_status'] in ('failure', 'timeout', 'late_failure') then 'failed'
    when r['e']['txn_status'] = 'voided' then 'cancelled'
    else r['e']['txn_status']
  end as status,
  r['e']['refund_reason_code'] as reason
from (
  select
    _row,
    id as credit_note_id,
    reference_invoice_id as invoice_id,
    currency_code as currency,
    unnest(indexed(linked_refunds)) as r
  from credit_notes
)
