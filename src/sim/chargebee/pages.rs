//! How is a page of the catalog or of the log put together, and one row of anything? (Pages of other rows: `mod`.)
use super::{
    Chargebee, error, log,
    pen::Pen,
    query,
    wares::{self, Range},
};
use crate::{
    sim::{
        answer::json,
        json::Object,
        world::{Resource, World, model::Row},
    },
    wire::Response,
};

impl Chargebee {
    /// One row, which is shown as it is now, whatever lists show.
    pub(super) fn one(
        &mut self,
        world: &World,
        name: &str,
        id: &str,
        query: &[(String, String)],
    ) -> Response {
        let resource = Resource::ALL.into_iter().find(|r| r.plural() == name && query::has_retrieve(*r));
        let row = resource.and_then(|r| world.find(r, id));
        let there = |row: &Row| !world.stamp(*row).gone && !self.shelf(row.resource()).hides(row.number());
        if let Some(row) = row.filter(there) {
            return self.retrieve(world, row, query);
        }
        let pen = Pen {
            world,
            additions: self.quirks.additions,
            lines: self.quirks.lines(),
            catalog: self.catalog,
        };
        let ware = Range::named(name).and_then(|range| Some((range, wares::find(world, range, id)?.0)));
        let number =
            id.strip_prefix("ev_").filter(|_| name == "events").and_then(|n| n.parse::<usize>().ok());
        let happening = number.and_then(|n| Some((n, world.log().get(n)?)));
        let mut body = Object::new();
        match (ware, happening) {
            (Some((range, ware)), _) => body.raw(range.singular, &pen.ware(ware, range)),
            (None, Some((number, happening))) => {
                body.raw("event", &log::event(world, number, happening, self.catalog))
            }
            (None, None) => {
                let message = format!("{id} not found");
                return error(404, "resource_not_found", Some("invalid_request"), &message, None);
            }
        };
        json(200, body.end())
    }

    /// A page of the catalog or of the log.
    pub(super) fn catalog_list(&self, world: &World, name: &str, query: &[(String, String)]) -> Response {
        let repeat = self.quirks.repeat;
        let wrapped = |singular: &str, body: &str| {
            let mut element = Object::new();
            element.raw(singular, body);
            element.end()
        };
        let page = match Range::named(name) {
            None => log::page(world, self.told, self.catalog, query, repeat)
                .map(|(rows, next)| (rows.iter().map(|e| wrapped("event", e)).collect::<Vec<_>>(), next)),
            Some(range) => {
                let pen = Pen {
                    world,
                    additions: self.quirks.additions,
                    lines: self.quirks.lines(),
                    catalog: self.catalog,
                };
                self.counter.page(range, query, repeat).map(|(rows, next)| {
                    (rows.iter().map(|w| wrapped(range.singular, &pen.ware(w, range))).collect(), next)
                })
            }
        };
        match page {
            Ok((rows, next)) => {
                let mut body = Object::new();
                body.list("list", rows).opt("next_offset", next);
                json(200, body.end())
            }
            Err(wrong) => {
                let kind = Some("invalid_request");
                error(400, "param_wrong_value", kind, &wrong.message, Some(&wrong.param))
            }
        }
    }
}
