//! Which words does the world know? Closed sets, each with the word that Chargebee uses for it.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }
        impl $name {
            /// The word that Chargebee uses for it.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

words!(
    /// Where a subscription stands.
    SubscriptionStatus {
        Future = "future", InTrial = "in_trial", Active = "active", NonRenewing = "non_renewing",
        Paused = "paused", Cancelled = "cancelled",
    }
);
words!(
    /// Where an invoice stands.
    InvoiceStatus {
        Pending = "pending", Posted = "posted", PaymentDue = "payment_due", NotPaid = "not_paid", Paid = "paid",
        Voided = "voided",
    }
);
words!(
    /// Where the retries of an invoice's payment stand.
    Dunning { InProgress = "in_progress", Exhausted = "exhausted", Stopped = "stopped", Success = "success" }
);
words!(
    /// Whether line amounts include tax.
    PriceType { Exclusive = "tax_exclusive", Inclusive = "tax_inclusive" }
);
words!(
    /// What a discount comes from.
    DiscountKind {
        ItemCoupon = "item_level_coupon", DocumentCoupon = "document_level_coupon",
        PromotionalCredits = "promotional_credits",
    }
);
words!(
    /// Direction of a transaction; amounts are positive in all.
    TransactionKind {
        Authorization = "authorization", Payment = "payment", Refund = "refund", Reversal = "payment_reversal",
    }
);
words!(
    /// Where a transaction stands.
    TransactionStatus {
        InProgress = "in_progress", Success = "success", Voided = "voided", Failure = "failure",
        LateFailure = "late_failure",
    }
);
words!(
    /// How money moves.
    Method { Card = "card", DirectDebit = "direct_debit", BankTransfer = "bank_transfer" }
);
words!(
    /// What a credit note does.
    NoteKind { Adjustment = "adjustment", Refundable = "refundable" }
);
words!(
    /// Where a credit note stands.
    NoteStatus { Adjusted = "adjusted", Refunded = "refunded", RefundDue = "refund_due", Voided = "voided" }
);
words!(
    /// Why a credit note was made.
    Reason {
        WriteOff = "write_off", SubscriptionChange = "subscription_change",
        ProductUnsatisfactory = "product_unsatisfactory", Waiver = "waiver",
    }
);
words!(
    /// What happened to a row.
    What {
        Created = "created", Edited = "edited", Deleted = "deleted", Started = "started", Renewed = "renewed",
        Upgraded = "upgraded", CancelScheduled = "cancel_scheduled", Cancelled = "cancelled", Paused = "paused",
        Resumed = "resumed", Dues = "dues", Closed = "closed", Due = "due", Paid = "paid", Failed = "failed",
        Returned = "returned", Credited = "credited", Refunded = "refunded", WrittenOff = "written_off",
        Voided = "voided", Withheld = "withheld", Balance = "balance",
    }
);
