//! Chargebee's catalog and log, from the connector language to the rows: what only events tell, and what a site does
//! not have.
mod deletes;
mod language;
mod machine;
mod offers;
mod site;
