select
  _row,
  concat(invoice_id, ':tax:', t['n']) as id,
  invoice_id,
  'tax' as kind,
  minor(t['e']['amount'], currency) as amount,
  t['e']['name'] as name
from (select _row, id as invoice_id, currency_code as currency, unnest(indexed(taxes)) as t from invoices)
