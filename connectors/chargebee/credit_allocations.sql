select
  _row,
  concat(credit_note_id, ':allocation:', a['n']) as id,
  credit_note_id,
  a['e']['invoice_id'] as invoice_id,
  minor(a['e']['allocated_amount'], currency) as amount,
  a['e']['allocated_at'] as applied_at,
  case a['e']['tax_application'] when 'pre_tax' then true when 'post_tax' then false end as pre_tax
from (
  select _row, id as credit_note_id, currency_code as currency, unnest(indexed(allocations)) as a
  from credit_notes
)
