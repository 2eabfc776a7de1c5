//! Which connectors there are: those inside the binary, and those of a project folder, which win.
//!
//! The only place of the manifest that reads files.
use super::{Connector, prove};
use crate::{
    entity::{self, Entity},
    error::{Error, Kind, Result},
    yaml::{File, suggest},
};
use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

/// Everything that can be read and what it means.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// Unified tables by name.
    pub entities: BTreeMap<String, Arc<Entity>>,
    /// Connectors by name.
    pub connectors: BTreeMap<String, Arc<Connector>>,
}

impl Catalog {
    /// The connector of that name. Fails `Invalid` with the nearest name.
    pub fn connector(&self, name: &str) -> Result<&Arc<Connector>> {
        self.connectors.get(name).ok_or_else(|| {
            Error::new(Kind::Invalid, format!("no connector is called `{name}`"))
                .hint(suggest(name, self.connectors.keys().map(String::as_str)))
        })
    }
}

/// Folder of the unified tables inside `connectors/`.
const UNIFIED: &str = "unified";

macro_rules! embed {
    ($($path:literal),* $(,)?) => {
        /// Every file of `connectors/` that means something to the machine: (path below it, text).
        const EMBEDDED: &[(&str, &str)] = &[$(($path, include_str!(concat!("../../connectors/", $path)))),*];
    };
}

embed![
    "billsby/connector.yaml",
    "billsby/customers.sql",
    "chargebee/addons.sql",
    "chargebee/comments.sql",
    "chargebee/connector.yaml",
    "chargebee/coupons.sql",
    "chargebee/credit_allocations.sql",
    "chargebee/credit_note_line_items.sql",
    "chargebee/credit_notes.sql",
    "chargebee/customers.sql",
    "chargebee/events.sql",
    "chargebee/gifts.sql",
    "chargebee/hosted_pages.sql",
    "chargebee/invoice_discounts.sql",
    "chargebee/invoice_line_items.sql",
    "chargebee/invoice_taxes.sql",
    "chargebee/invoices.sql",
    "chargebee/item_families.sql",
    "chargebee/items.sql",
    "chargebee/order_line_items.sql",
    "chargebee/orders.sql",
    "chargebee/payment_allocations.credit_notes.sql",
    "chargebee/payment_allocations.invoices.sql",
    "chargebee/payment_methods.sql",
    "chargebee/payments.sql",
    "chargebee/plans.sql",
    "chargebee/prices.sql",
    "chargebee/promotional_credits.sql",
    "chargebee/quote_line_items.sql",
    "chargebee/quotes.sql",
    "chargebee/refunds.sql",
    "chargebee/subscription_discounts.sql",
    "chargebee/subscription_events.sql",
    "chargebee/subscription_items.sql",
    "chargebee/subscriptions.sql",
    "chargebee/unbilled_charges.sql",
    "chargebee/usages.sql",
    "chargebee/virtual_bank_accounts.sql",
    "unified/addons.yaml",
    "unified/comments.yaml",
    "unified/coupons.yaml",
    "unified/credit_allocations.yaml",
    "unified/credit_note_line_items.yaml",
    "unified/credit_notes.yaml",
    "unified/customers.yaml",
    "unified/events.yaml",
    "unified/gifts.yaml",
    "unified/hosted_pages.yaml",
    "unified/invoice_discounts.yaml",
    "unified/invoice_line_items.yaml",
    "unified/invoice_taxes.yaml",
    "unified/invoices.yaml",
    "unified/item_families.yaml",
    "unified/items.yaml",
    "unified/order_line_items.yaml",
    "unified/orders.yaml",
    "unified/payment_allocations.yaml",
    "unified/payment_methods.yaml",
    "unified/payments.yaml",
    "unified/plans.yaml",
    "unified/prices.yaml",
    "unified/promotional_credits.yaml",
    "unified/quote_line_items.yaml",
    "unified/quotes.yaml",
    "unified/refunds.yaml",
    "unified/subscription_discounts.yaml",
    "unified/subscription_events.yaml",
    "unified/subscription_items.yaml",
    "unified/subscriptions.yaml",
    "unified/unbilled_charges.yaml",
    "unified/usages.yaml",
    "unified/virtual_bank_accounts.yaml",
];

/// JSON Schema of connector.yaml, for editors.
const SCHEMA: &str = include_str!("../../connectors/connector.schema.json");

/// JSON Schema of connector.yaml, for editors. Fails only by a bug.
pub fn json_schema() -> Result<serde_json::Value> {
    serde_json::from_str(SCHEMA)
        .map_err(|e| Error::new(Kind::Bug, "the embedded JSON Schema is not JSON").because(e))
}

/// All connectors. A folder `<project>/connectors/<name>` replaces the embedded one of that name as a whole; a file in
/// `<project>/connectors/unified` replaces or adds that one table. Fails `Invalid` at the first wrong file.
pub fn catalog(project: Option<&Path>) -> Result<Catalog> {
    let mut folders: BTreeMap<String, Vec<File>> = BTreeMap::new();
    for (path, text) in EMBEDDED {
        let folder = path.split('/').next().unwrap_or_default();
        let file = File { path: format!("connectors/{path}"), text: (*text).to_owned() };
        folders.entry(folder.to_owned()).or_default().push(file);
    }
    if let Some(project) = project {
        for (name, files) in read(&project.join("connectors"))? {
            if name == UNIFIED {
                let tables = folders.entry(name).or_default();
                tables.retain(|old| files.iter().all(|new| new.name() != old.name()));
                tables.extend(files);
            } else {
                folders.insert(name, files);
            }
        }
    }
    let entities = entity::load(&folders.remove(UNIFIED).unwrap_or_default())?;
    let mut connectors = BTreeMap::new();
    for (name, files) in folders {
        let (yaml, sql): (Vec<File>, Vec<File>) =
            files.into_iter().partition(|f| f.name() == "connector.yaml");
        let [yaml] = yaml.as_slice() else {
            return Err(Error::new(Kind::Invalid, format!("connectors/{name} has no connector.yaml")));
        };
        connectors.insert(name.clone(), Arc::new(prove::load(&name, yaml, &sql, &entities)?));
    }
    Ok(Catalog { entities, connectors })
}

/// The folders of a project's `connectors/` with their `.yaml` and `.sql` files; none when it is absent.
fn read(root: &Path) -> Result<BTreeMap<String, Vec<File>>> {
    let mut folders = BTreeMap::new();
    if !root.is_dir() {
        return Ok(folders);
    }
    for (name, path) in entries(root)? {
        if !path.is_dir() || name.starts_with('.') {
            continue;
        }
        let mut files = Vec::new();
        for (name, path) in entries(&path)? {
            if name.ends_with(".yml") {
                let what = format!("{} would not be read", path.display());
                return Err(Error::new(Kind::Invalid, what).hint("rename it: the ending is `.yaml`"));
            }
            if !name.starts_with('.') && (name.ends_with(".yaml") || name.ends_with(".sql")) {
                let text = fs::read_to_string(&path).map_err(|e| unreadable(&path, e))?;
                files.push(File { path: path.display().to_string(), text });
            }
        }
        folders.insert(name, files);
    }
    Ok(folders)
}

fn entries(folder: &Path) -> Result<BTreeMap<String, std::path::PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(|e| unreadable(folder, e))? {
        let entry = entry.map_err(|e| unreadable(folder, e))?;
        found.insert(entry.file_name().to_string_lossy().into_owned(), entry.path());
    }
    Ok(found)
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::new(Kind::Invalid, "cannot read connectors").with("path", path.display()).because(error)
}
