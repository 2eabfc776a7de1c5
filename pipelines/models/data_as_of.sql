-- name: data_as_of
-- grain: one row per tenant and connection
-- needs: customers, subscriptions, invoices, payments
-- meaning: The day up to which the data speaks: the UTC date of the newest state of any customer, subscription,
--   invoice or payment. Models use it instead of today's date, so that equal data always gives equal numbers.
-- columns:
--   tenant_id: Tenant
--   connection_id: Connection
--   as_of: Newest day on which anything changed
select tenant_id, connection_id, cast(max(observed_at) as date) as as_of
from (
  select tenant_id, connection_id, observed_at from customers
  union all
  select tenant_id, connection_id, observed_at from subscriptions
  union all
  select tenant_id, connection_id, observed_at from invoices
  union all
  select tenant_id, connection_id, observed_at from payments
) seen
group by tenant_id, connection_id
