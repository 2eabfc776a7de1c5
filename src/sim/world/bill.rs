//! What does an invoice say? Lines, discounts, taxes and totals, so that lines and header always agree to the cent.
use super::{
    Action, DAY, World,
    catalog::{DOCUMENT_COUPON, ITEM_COUPON, Item, ItemKind, Period, Tax},
    model::{
        Customer, Discount, DiscountKind, Entity, Invoice, InvoiceStatus, Line, LineDiscount, LineTax,
        PriceType, Row, Stamp, Subscription, SubscriptionItem, TaxTotal, What,
    },
    table::At,
};
use crate::sim::money::{Currency, Dec, divide, portion, share};

/// What is to be billed on one line.
#[derive(Clone, Debug)]
pub(super) struct Charge {
    item: Item,
    price_id: String,
    quantity: Dec,
    unit: Dec,
    amount: i64,
    from: i64,
    to: i64,
    prorated: bool,
}

impl Charge {
    /// A whole term of a subscription's item.
    pub(super) fn item(item: &SubscriptionItem, from: i64, to: i64) -> Self {
        Self {
            item: item.item,
            price_id: item.price_id.clone(),
            quantity: item.quantity,
            unit: item.unit,
            amount: item.amount,
            from,
            to,
            prorated: false,
        }
    }
    /// The rest of the term `(from, to)` from `now` on.
    pub(super) fn prorated(item: &SubscriptionItem, now: i64, (from, to): (i64, i64)) -> Self {
        let amount = portion(item.amount, to - now, to - from);
        Self { amount, from: now, prorated: true, ..Self::item(item, from, to) }
    }
    /// The one-off setup fee.
    pub(super) fn setup(currency: Currency, at: i64) -> Self {
        let unit = Item::Setup.unit_price(Period::Monthly, currency);
        Self {
            item: Item::Setup,
            price_id: Item::Setup.price_id(Period::Monthly, currency),
            quantity: Dec::new(1, 0),
            unit,
            amount: unit.rounded(currency.exponent()),
            from: at,
            to: at,
            prorated: false,
        }
    }
    fn line(&self, id: String, currency: Currency) -> Line {
        // A prorated line's unit price is its amount: providers keep unit x quantity = amount.
        let unit = if self.prorated { Dec::minor(self.amount, currency) } else { self.unit };
        let suffix = if self.prorated { " - prorated charges" } else { "" };
        Line {
            id,
            entity: Entity::Price(self.item),
            price_id: Some(self.price_id.clone()),
            name: self.item.title().to_owned(),
            description: format!("{}{suffix}", self.item.title()),
            from: self.from,
            to: self.to,
            quantity: self.quantity,
            unit,
            amount: self.amount,
            discount: 0,
            item_discount: 0,
            tax: 0,
            tax_rate: None,
            prorated: self.prorated,
            reference: None,
        }
    }
}

/// The taxes of one line: rates, what they are taken from, and the parts.
pub(super) fn tax_line(line: &mut Line, taxes: &[Tax], price_type: PriceType) -> Vec<LineTax> {
    let net = line.amount - line.discount - line.item_discount;
    let sum = taxes
        .iter()
        .fold(Dec::new(0, 3), |sum, (_, rate)| Dec::new(sum.mantissa + i128::from(rate.rounded(3)), 3));
    if taxes.is_empty() {
        return Vec::new();
    }
    line.tax_rate = Some(sum);
    let included = match price_type {
        PriceType::Exclusive => 0,
        PriceType::Inclusive => sum.mantissa,
    };
    let mut parts = Vec::new();
    for (name, rate) in taxes {
        let top = i128::from(net) * i128::from(rate.rounded(3));
        let amount = divide(top, 100_000 + included);
        line.tax += amount;
        parts.push(LineTax { line: line.id.clone(), name, rate: *rate, taxable: net, amount });
    }
    for part in &mut parts {
        part.taxable = if price_type == PriceType::Inclusive { net - line.tax } else { net };
    }
    parts
}

/// Document taxes from line taxes, in order of appearance.
pub(super) fn tax_totals(line_taxes: &[LineTax]) -> Vec<TaxTotal> {
    let mut totals: Vec<TaxTotal> = Vec::new();
    for tax in line_taxes {
        match totals.iter_mut().find(|t| t.name == tax.name) {
            Some(total) => total.amount += tax.amount,
            None => totals.push(TaxTotal { name: tax.name, amount: tax.amount }),
        }
    }
    totals
}

impl World {
    /// Makes an invoice of the charges and starts to collect it.
    pub(super) fn bill(&mut self, subscription: At<Subscription>, charges: Vec<Charge>) {
        let customer = self.subscriptions[subscription].customer;
        let mut invoice = self.draft(customer, subscription, &charges);
        self.discount(&mut invoice, subscription);
        self.total(&mut invoice);
        let pending = self.percent(5);
        if pending {
            invoice.status = InvoiceStatus::Pending;
            invoice.generated_at = None;
        }
        let at = self.put_invoice(invoice);
        if pending {
            if self.percent(80) {
                self.plan_in(1..8, Action::Close(at));
            }
        } else {
            self.collect(at);
        }
    }

    /// The first line that a subscription was ever billed.
    fn first_line(&self, at: At<Subscription>) -> Option<String> {
        let invoice = *self.subscriptions[at].invoices.first()?;
        self.invoices[invoice].lines.first().map(|line| line.id.clone())
    }

    fn draft(
        &mut self,
        customer: At<Customer>,
        subscription: At<Subscription>,
        charges: &[Charge],
    ) -> Invoice {
        let n = self.invoices.len() + 1;
        let owner = &self.customers[customer];
        let before = self.first_line(subscription);
        let lines: Vec<Line> = charges
            .iter()
            .enumerate()
            .map(|(i, c)| {
                let line = c.line(format!("li_{n:07}_{i}"), owner.currency);
                Line { reference: before.clone().filter(|_| c.prorated), ..line }
            })
            .collect();
        Invoice {
            id: format!("INV-{n:07}"),
            stamp: Stamp::default(),
            customer,
            subscription: Some(subscription),
            status: InvoiceStatus::Posted,
            recurring: charges.iter().any(|c| c.item.kind() != ItemKind::Charge),
            first: owner.invoices.is_empty(),
            date: self.now,
            generated_at: Some(self.now),
            due_date: Some(self.now + owner.net_terms * DAY),
            paid_at: None,
            voided_at: None,
            net_terms: owner.net_terms,
            po_number: n.is_multiple_of(11).then(|| format!("PO-{n}")),
            note: n
                .is_multiple_of(13)
                .then(|| format!("Thank you \u{2764} \u{2014} line one\nline \"two\" of {n}")),
            price_type: if owner.currency == Currency::Jpy {
                PriceType::Inclusive
            } else {
                PriceType::Exclusive
            },
            currency: owner.currency,
            lines,
            discounts: Vec::new(),
            line_discounts: Vec::new(),
            taxes: Vec::new(),
            line_taxes: Vec::new(),
            sub_total: 0,
            tax: 0,
            round_off: 0,
            total: 0,
            amount_paid: 0,
            credits_applied: 0,
            amount_adjusted: 0,
            written_off: 0,
            amount_due: 0,
            payments: Vec::new(),
            attempts: Vec::new(),
            dunning: None,
            next_retry_at: None,
            credits: Vec::new(),
            adjustments: Vec::new(),
            issued: Vec::new(),
            withheld: Vec::new(),
        }
    }

    /// Item coupon, then document coupon, then promotional credits: each from what the one before left.
    fn discount(&mut self, invoice: &mut Invoice, subscription: At<Subscription>) {
        let now = self.now;
        let mut coupons = Vec::new();
        for coupon in &mut self.subscriptions[subscription].coupons {
            if coupon.apply_till.is_none_or(|till| now <= till) {
                coupon.applied += 1;
                coupons.push(coupon.coupon);
            }
        }
        let coupons_used = !coupons.is_empty();
        for coupon in coupons {
            if coupon == ITEM_COUPON {
                discount_seats(invoice);
            } else {
                let left: i64 = invoice.lines.iter().map(rest).sum();
                let amount = portion(left, 10, 100);
                spread(invoice, DiscountKind::DocumentCoupon, Some(DOCUMENT_COUPON), "10% off", amount);
            }
        }
        if coupons_used {
            self.mark(Row::Subscription(subscription), What::Edited);
        }
        let left: i64 = invoice.lines.iter().map(rest).sum();
        let credits = self.customers[invoice.customer].promotional_credits.min(left);
        if credits > 0 {
            spread(invoice, DiscountKind::PromotionalCredits, None, "Promotional Credits", credits);
            self.customers[invoice.customer].promotional_credits -= credits;
            self.mark(Row::Customer(invoice.customer), What::Balance);
        }
    }

    fn total(&mut self, invoice: &mut Invoice) {
        let owner = &self.customers[invoice.customer];
        let taxes = if owner.exempt == Some(true) { &[] } else { owner.country.taxes };
        for line in &mut invoice.lines {
            invoice.line_taxes.extend(tax_line(line, taxes, invoice.price_type));
        }
        invoice.taxes = tax_totals(&invoice.line_taxes);
        invoice.sub_total = invoice.lines.iter().map(rest).sum();
        invoice.tax = invoice.lines.iter().map(|l| l.tax).sum();
        let exact = match invoice.price_type {
            PriceType::Exclusive => invoice.sub_total + invoice.tax,
            PriceType::Inclusive => invoice.sub_total,
        };
        let step = owner.country.cash_step;
        invoice.total = divide(exact.into(), step.into()) * step;
        invoice.round_off = invoice.total - exact;
        invoice.amount_due = invoice.total;
    }
}

/// What discounts left of a line's amount.
fn rest(line: &Line) -> i64 {
    line.amount - line.discount - line.item_discount
}

fn discount_seats(invoice: &mut Invoice) {
    for line in &mut invoice.lines {
        let amount = portion(rest(line), 15, 100);
        if line.entity != Entity::Price(Item::Seats) || amount == 0 {
            continue;
        }
        line.item_discount += amount;
        let (kind, coupon) = (DiscountKind::ItemCoupon, Some(ITEM_COUPON));
        invoice.line_discounts.push(LineDiscount { line: line.id.clone(), kind, coupon, amount });
        let description = "15% off seats".to_owned();
        invoice.discounts.push(Discount { kind, coupon, description, amount, line: Some(line.id.clone()) });
    }
}

/// A document discount and its parts on the lines.
fn spread(invoice: &mut Invoice, kind: DiscountKind, coupon: Option<&'static str>, text: &str, amount: i64) {
    if amount == 0 {
        return;
    }
    let weights: Vec<i64> = invoice.lines.iter().map(rest).collect();
    for (line, amount) in invoice.lines.iter_mut().zip(share(amount, &weights)) {
        if amount != 0 {
            line.discount += amount;
            invoice.line_discounts.push(LineDiscount { line: line.id.clone(), kind, coupon, amount });
        }
    }
    invoice.discounts.push(Discount { kind, coupon, description: text.to_owned(), amount, line: None });
}
