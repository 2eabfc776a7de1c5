//! A site has one of two catalogs: the other one's streams are passed over, told once, and an error when named.
use super::deletes::Shop;
use crate::simulation::harness::Site;
use tidegate::{
    cli::render::{Look, summary},
    error::Kind,
    sync::summary::Status,
};

const TWO: [&str; 3] = ["item_families", "items", "item_prices"];
const ONE: [&str; 2] = ["plans", "addons"];

#[tokio::test]
async fn the_other_catalog_is_passed_over_in_one_line_of_the_summary() {
    for (site, absent, word) in [
        (Site::Chargebee, &ONE[..], "Product Catalog 2.0"),
        (Site::ChargebeeCatalog1, &TWO[..], "Product Catalog 1.0"),
    ] {
        let shop = Shop::new(site, 2);
        let outcome = shop.sync(&[]).await;
        assert_eq!(outcome.summary.status, Status::Completed, "{:?}", outcome.error);
        let passed: Vec<&str> = outcome
            .summary
            .streams
            .iter()
            .filter(|s| s.not_offered.is_some())
            .map(|s| s.stream.as_str())
            .collect();
        assert_eq!(passed, absent);
        let text = summary::text(&outcome.summary, &Look { width: None, colour: false, grouped: false });
        let told: Vec<&str> = text.lines().filter(|l| l.contains("not offered")).collect();
        let [line] = told.as_slice() else { panic!("{text}") };
        assert!(line.contains(&absent.join(", ")) && line.contains(word), "{line}");
        for stream in absent {
            let rows = text.lines().filter(|l| l.trim_start().starts_with(stream)).count();
            assert_eq!(rows, 0, "an empty row would look like an empty table: {text}");
            assert!(!shop.checkpoints().await.contains_key(*stream), "{stream}");
        }
    }
}

#[tokio::test]
async fn a_stream_of_the_other_catalog_that_was_named_fails_and_says_which_catalog_there_is() {
    let shop = Shop::new(Site::ChargebeeCatalog1, 2);
    let outcome = shop.sync(&["coupons", "items"]).await;
    assert_eq!(outcome.summary.status, Status::Partial);
    let error = outcome.error.unwrap();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("Product Catalog 1.0"), "{error}");
    assert!(error.next().unwrap().contains("source.streams"), "{error}");
    assert!(!shop.table("coupons").await.is_empty());
}
