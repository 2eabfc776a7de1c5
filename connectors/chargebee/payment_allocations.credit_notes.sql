select
  _row,
  concat(credit_note_id, ':credit_note:', a['n']) as id,
  a['e']['invoice_id'] as invoice_id,
  'credit_note' as kind,
  minor(a['e']['allocated_amount'], currency) as amount,
  a['e']['allocated_at'] as applied_at,
  local_date(a['e']['allocated_at'], _zone) as applied_date,
  credit_note_id as owner_credit_note_id
from (
  select _row, _zone, id as credit_note_id, currency_code as currency, unnest(indexed(allocations)) as a
  from credit_notes
)
