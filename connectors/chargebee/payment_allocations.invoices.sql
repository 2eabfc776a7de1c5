-- linked_payments lists every attempt; only successful ones settle anything. Tax that the customer withheld settles too.
select
  _row,
  concat(invoice_id, ':payment:', p['n']) as id,
  p['e']['txn_id'] as payment_id,
  invoice_id,
  'payment' as kind,
  minor(p['e']['applied_amount'], currency) as amount,
  p['e']['applied_at'] as applied_at,
  local_date(p['e']['applied_at'], _zone) as applied_date,
  invoice_id as owner_invoice_id
from (
  select _row, _zone, id as invoice_id, currency_code as currency, unnest(indexed(linked_payments)) as p
  from invoices
)
where p['e']['txn_status'] = 'success'
union all
select
  _row,
  concat(invoice_id, ':tax_withheld:', w['n']) as id,
  null as payment_id,
  invoice_id,
  'tax_withheld' as kind,
  minor(w['e']['amount'], currency) as amount,
  w['e']['date'] as applied_at,
  local_date(w['e']['date'], _zone) as applied_date,
  invoice_id as owner_invoice_id
from (
  select _row, _zone, id as invoice_id, currency_code as currency, unnest(indexed(linked_taxes_withheld)) as w
  from invoices
)
