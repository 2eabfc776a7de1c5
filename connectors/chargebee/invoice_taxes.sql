select
  _row,
  concat(invoice_id, ':tax:', cast(t['n'] as varchar)) as id,
  invoice_id,
  minor(t['e']['amount'], currency) as amount,
  t['e']['name'] as name
from (select _row, id as invoice_id, currency_code as currency, unnest(indexed(taxes)) as t from invoices)
