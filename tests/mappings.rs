//! Every embedded mapping plans over its stream and answers columns of its unified table.
use tidegate::{manifest, sync::Normalizers};

#[tokio::test]
async fn every_mapping_plans_and_fits_its_table() {
    let catalog = manifest::catalog(None).unwrap();
    let normalizers = Normalizers::default();
    let mut planned = 0;
    for connector in catalog.connectors.values() {
        for stream in &connector.streams {
            if let Err(e) = normalizers.get(connector, stream).await {
                panic!("{}.{}: {e}", connector.name, stream.name);
            }
            planned += stream.feeds.len();
        }
    }
    assert!(planned >= 15, "only {planned} mappings were planned");
}
